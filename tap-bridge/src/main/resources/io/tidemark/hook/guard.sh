# Freezes, says so, waits for the word "thaw" on standard input, and thaws: also when the pipe ends
# because the tap is gone, when the limit passes, and when it is told to end (H1).
#
# guard KIND FREEZE_CENTIS FROZEN_CENTIS THAW_CENTIS TARGET...
# KIND is fsfreeze (one target, a mount point) or scripts (programs, in the order of freezing). On
# standard output: "frozen", or "failed CODE"; then "expired" when nobody said thaw; at the end
# "thawed CODE". What the programs print goes to standard error, and before each word the byte 036, so
# that a reader of both knows what was printed before the word.
trap : TERM INT HUP
kind=$1 freeze_centis=$2 frozen_centis=$3 thaw_centis=$4
shift 4

# A subshell, because writing to a tap that is gone kills who writes.
say() {
  (printf '\036' >&2) 2>/dev/null || :
  (printf '%s\n' "$*") 2>/dev/null || :
}

# Hundredths of a second since the machine's start.
now() {
  read -r up rest </proc/uptime
  echo "${up%.*}${up#*.}"
}

# Hundredths left until $1, as timeout(1) takes seconds; a tenth at least, as 0 means for ever.
left() {
  centis=$(($1 - $(now)))
  [ "$centis" -ge 10 ] || centis=10
  printf '%d.%02d' "$((centis / 100))" "$((centis % 100))"
}

# step UNTIL PHASE TARGET: 124 or 137 when it had to be killed. In the kernel nothing can be killed,
# and a freeze that is under way cannot be thawed: that one is waited for, whatever it takes.
step() {
  case $kind:$2 in
    fsfreeze:freeze) fsfreeze --freeze "$3" </dev/null >&2 ;;
    fsfreeze:thaw) fsfreeze --unfreeze "$3" </dev/null >&2 ;;
    *) timeout -k 1 "$(left "$1")" "$3" "$2" </dev/null >&2 ;;
  esac
}

start=$(now)
freeze_until=$((start + freeze_centis))
frozen_until=$((start + frozen_centis))
begun=0
status=0
for target; do
  begun=$((begun + 1))
  step "$freeze_until" freeze "$target" || status=$?
  [ "$status" -eq 0 ] || break
done

if [ "$status" -eq 0 ]; then
  say frozen
  word=$(timeout --foreground "$(left "$frozen_until")" head -n 1)
  if [ "$word" != thaw ]; then
    say expired
    # Nobody may be reading any more.
    exec >/dev/null 2>&1
  fi
else
  say "failed $status"
  case $kind:$status in
    # It was killed, and the kernel may have frozen all the same.
    fsfreeze:137 | fsfreeze:143) exec >/dev/null 2>&1 ;;
    # Not frozen, or by somebody else.
    fsfreeze:*) begun=0 ;;
  esac
fi

# A script that failed or was killed may have done half of its work: it is told to thaw, too.
thaw_until=$(($(now) + thaw_centis))
worst=0
while [ "$begun" -gt 0 ]; do
  eval "target=\${$begun}"
  step "$thaw_until" thaw "$target" || worst=$?
  begun=$((begun - 1))
done
say "thawed $worst"
exit "$worst"
