#!/bin/sh
# study-to-case.sh STUDY FOLDER [URL]: write one study of Orthanc as a case into the watched folder FOLDER.
# STUDY is Orthanc's own identifier, URL that of Orthanc (default http://127.0.0.1:8042). The case appears in one rename:
# names that begin with a dot are not looked at. Needs curl and python3.
set -eu
study=$1 folder=$2 url=${3:-http://127.0.0.1:8042}
case $study in '' | *[!0-9a-f-]*) echo "not an identifier of Orthanc: $study" >&2; exit 2 ;; esac
new=$(mktemp -d "$folder/.orthanc-XXXXXX")
trap 'rm -rf "$new"' EXIT
curl --fail --silent --show-error --output "$new/study.zip" "$url/studies/$study/archive"
mkdir "$new/case"
python3 -m zipfile -e "$new/study.zip" "$new/case"
chmod -R g+rX,o+rX "$new/case"
mv -T "$new/case" "$folder/orthanc-$study-$(date +%Y%m%dT%H%M%S)"
