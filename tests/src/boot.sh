# Boots one host and keeps it across reboots: with --keep-unit, nspawn ends with 133 where it
# would otherwise reboot. Arguments: name, state folder, cgroup, lower layers, repository.
set -e
name=$1 state=$2 cgroup=$3 lower=$4 repository=$5
mkdir -p "$state/upper" "$state/work" "$state/root" "$cgroup/$name"
# A host that lost its power while it was frozen must not freeze its next boot.
echo 0 > "$cgroup/$name/cgroup.freeze"
echo $$ > "$cgroup/$name/cgroup.procs"
mountpoint -q "$state/root" || mount -t overlay overlay \
  -o "lowerdir=$lower,upperdir=$state/upper,workdir=$state/work" "$state/root"
# GlusterFS mounts by way of it.
fuse=
[ -e /dev/fuse ] && fuse=--bind=/dev/fuse
credential=
[ -e "$state/join" ] && credential="--load-credential=brine.join:$state/join"
while :; do
  code=0
  systemd-nspawn --quiet --directory="$state/root" --machine="$name" --register=no --keep-unit --boot \
    --console=pipe --network-bridge=br0 --resolv-conf=off --timezone=off --link-journal=no \
    --bind-ro="$repository:/repo" $fuse $credential </dev/null >>"$state/console" 2>&1 || code=$?
  [ $code = 133 ] || exit $code
done
