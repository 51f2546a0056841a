#!/bin/sh
# Makes the folder $1 the root of the namespaces this shell was started in
# (mount, pid, uts, ipc, net) and becomes its systemd, in a control group of its
# own, $2. What systemd could change for the whole kernel it finds read-only.
set -eu
root=$1 group=$2

mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount -o bind,ro proc/sys proc/sys
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp

mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty fuse; do
	touch "dev/$node"
	mount --bind "/dev/$node" "dev/$node"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd

# In the host's hierarchy, until the namespace makes the group its root.
mount -t cgroup2 cgroup2 sys/fs/cgroup
mkdir "sys/fs/cgroup$group"
echo $$ >"sys/fs/cgroup$group/cgroup.procs"
umount sys/fs/cgroup

exec unshare --cgroup --propagation unchanged sh -eu -c '
mount -t cgroup2 cgroup2 sys/fs/cgroup
pivot_root . mnt
umount -l /mnt
# As after the boot of a real machine; credentials need it.
mount --make-rshared /
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=linux \
	/lib/systemd/systemd --show-status=0 --log-target=journal'
