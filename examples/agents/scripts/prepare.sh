#!/bin/sh
# An empty site.
rm -rf site && mkdir site
