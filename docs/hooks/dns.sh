#!/bin/sh
# dns.sh FILE NAME ADDRESS: a record in a file that a DNS server reads, replaced in one step.
# A `post` hook of both sites, each with its own address. May be run any number of times.
set -eu
file=$1
new=$(mktemp "$file.XXXXXX")
if [ -e "$file" ]; then
  awk -v name="$2" '$1 != name' "$file" > "$new"
fi
echo "$2 60 IN A $3" >> "$new"
chmod 644 "$new"
mv "$new" "$file"
