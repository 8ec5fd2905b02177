# Stands outside the lab: starts its namespaces and, when they have ended in whatever way, clears
# away what outlives processes. It leads a session of its own, so what ends the test spares it.
# Arguments: the lab's folder, cgroup, lifetime, the images' cache, the supervisor's script.
folder=$1 cgroup=$2 lifetime=$3 cache=$4 supervisor=$5
if [ "$lifetime" = detached ]; then
  # Nobody else opens this pipe, and held open both ways it never ends.
  mkfifo "$folder/lifeline"
  exec <>"$folder/lifeline"
fi
unshare --mount --net --pid --fork --kill-child --mount-proc \
  sh -c "$supervisor" supervisor "$folder" "$cache"
unshare --mount sh -c '
  mount --make-rprivate / && umount -R /sys/fs/cgroup
  mount -t cgroup2 none /sys/fs/cgroup && find "$1" -depth -type d -exec rmdir {} +
' sweep "$cgroup" 2>/dev/null
[ "$lifetime" = detached ] || rm -rf --one-file-system "$folder"
