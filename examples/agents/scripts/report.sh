#!/bin/sh
# Runs at the end, however the run ended.
echo "the run $STATUS"
mkdir -p site && echo "$STATUS" > site/report.txt
