#!/bin/sh
# Counts words and characters of the input. One-shot: it starts, works and ends; 0 is success, anything else a failure.
set -eu

text="$INPUT_DIRECTORY/data.json"
if [ ! -s "$text" ]; then
    echo "There is no data to measure." >&2
    exit 1
fi

echo "measuring $(wc -c <"$text") characters"
words=$(tr -c '[:alnum:]' ' ' <"$text" | wc -w)
characters=$(wc -c <"$text")

# The result of the job. Other files of this folder can be downloaded as well.
printf '{"words": %d, "characters": %d}\n' "$words" "$characters" >"$OUTPUT_DIRECTORY/output.json"
tr -cs '[:alnum:]' '\n' <"$text" >"$OUTPUT_DIRECTORY/words.txt"
