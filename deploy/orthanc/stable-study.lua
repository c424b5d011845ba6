-- Orthanc calls this when nothing has arrived for a study for StableAge seconds (its configuration; 60 by default).
-- In orthanc.json: "LuaScripts" : [ "/opt/mqi/deploy/orthanc/stable-study.lua" ]
function OnStableStudy(studyId, tags, metadata)
   os.execute('/opt/mqi/deploy/orthanc/study-to-case.sh ' .. studyId .. ' /data/mqi/incoming')
end
