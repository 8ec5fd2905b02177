# The lab's first process: pid 1 of its PID namespace, holder of its mounts and its network.
# Ends when its standard input does (the test that holds the other end is gone), and with it
# the kernel ends everything else in the lab. Arguments: the lab's folder, the images' cache.
set -e
mount --make-rprivate /
# systemd-nspawn insists on a /run that is not on a disk.
mount -t tmpfs tmpfs /run
# What a command leaves in /tmp is neither the machine's nor the next lab's business.
case "$1:$2" in
  /tmp/* | *:/tmp/*) ;;
  *) mount -t tmpfs tmpfs /tmp ;;
esac
# The hosts' names resolve for the operator as in the hosts themselves.
mount --bind "$1/names" /etc/hosts
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 none /sys/fs/cgroup
ip link set lo up
ip link add br0 type bridge
ip address add 10.77.0.254/24 dev br0
ip link set br0 up
exec 3<&0
cat <&3 >/dev/null &
reader=$!
# An address that answers is what `ready` means.
echo ready > "$1/ready"
while kill -0 $reader 2>/dev/null; do wait $reader || true; done
