# Outlives the process that started it, which holds the other end of standard input: when that end closes, however the
# process came to its end, this kills the servers recorded under the directory $1 and removes the directory.
# A signal from the terminal is not for us.
trap '' HUP INT TERM
mkdir -m 711 "$1" || exit 1
echo ready
exec >/dev/null 2>&1
while read -r _; do :; done

# A server writes its pid under $1 before it becomes the server (see process.rs). Once the directory is renamed none can
# start any more, and the pid of every one that did is there to be read.
gone=$1.gone
mv -- "$1" "$gone"

children() {
  cat /proc/"$1"/task/*/children || ps -A -o ppid= -o pid= | awk -v parent="$1" '$1 == parent { print $2 }'
}

for file in "$gone"/*/*.pid; do
  pid=$(cat "$file") || continue
  # Stopped first, so that it starts no more children while they are listed.
  kill -STOP "$pid"
  # Unquoted: there may be many.
  kill -KILL "$pid" $(children "$pid")
done

# PostgreSQL removes its System V segment itself, unless it was killed.
for file in "$gone"/*/data/postmaster.pid; do
  segment=$(sed -n '7s/.* //p' "$file") && [ -n "$segment" ] && ipcrm -m "$segment"
done

# What was just killed may still be closing files.
tries=0
until rm -rf -- "$gone" || [ "$tries" -ge 100 ]; do
  tries=$((tries + 1))
  sleep 0.1
done
