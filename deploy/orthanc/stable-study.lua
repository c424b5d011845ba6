-- Orthanc calls this when nothing has arrived for a study for StableAge seconds (its configuration; 60 by default).
-- In orthanc.json: "LuaScripts" : [ "/opt/mqi/deploy/orthanc/stable-study.lua" ]
-- The script runs in the background: it asks Orthanc for the study, and Orthanc answers no request while a hook of Lua
-- runs. What it reports is in the system's log (journalctl -t mqi-orthanc).
function OnStableStudy(studyId, tags, metadata)
   local command = '/opt/mqi/deploy/orthanc/study-to-case.sh ' .. studyId .. ' /data/mqi/incoming'
   os.execute('(' .. command .. ' 2>&1 | logger -t mqi-orthanc) </dev/null >/dev/null 2>&1 &')
end
