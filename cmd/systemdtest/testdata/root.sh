#!/bin/sh
# Makes the folder $1 a Debian that can be booted, with a stock Orthanc in it,
# from the apt sources of this machine. It runs in a mount namespace of its own,
# because debootstrap mounts.
set -eu
root=$1
suite=bookworm

mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
	awk -v suite=$suite '$2 == suite && $3 == "main" { print $1; exit }')
if [ -z "$mirror" ]; then
	echo "the apt sources of this machine do not have Debian's $suite (after 'apt-get update')" >&2
	exit 1
fi

debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,fuse3,procps $suite "$root" "$mirror"
chmod 755 "$root"

# debootstrap cannot resolve orthanc's virtual dependency; apt can. Its settings
# and what it needs for them are this machine's until then.
apt-config dump | grep -E '^Acquire::(http|https|Check|AllowInsecure)' >"$root/etc/apt/apt.conf.d/99machine" || true
echo "deb $mirror $suite main" >"$root/etc/apt/sources.list"
cat /etc/resolv.conf >"$root/etc/resolv.conf"
for trust in /etc/ssl/certs /usr/share/ca-certificates /usr/local/share/ca-certificates; do
	[ ! -d $trust ] || { mkdir -p "$root$trust" && mount --bind $trust "$root$trust"; }
done
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
mount -t devpts devpts "$root/dev/pts" 2>/dev/null || true
chroot "$root" sh -euc '
apt-get -q update
DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends orthanc
apt-get clean
'
rm -rf "$root/usr/sbin/policy-rc.d" "$root/etc/resolv.conf" "$root"/var/lib/apt/lists/* \
	"$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/usr/share/i18n/* \
	"$root"/var/log/*.log "$root"/var/log/apt/* "$root/etc/apt/apt.conf.d/99machine"
# A machine with an id of its own does not ask for the settings of a first boot.
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
echo bucketfs-test >"$root/etc/hostname"
# They are for hardware.
for unit in systemd-udevd systemd-timesyncd getty@tty1 e2scrub_reap apt-daily apt-daily-upgrade; do
	ln -sf /dev/null "$root/etc/systemd/system/$unit.service"
done
for timer in apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all fstrim; do
	ln -sf /dev/null "$root/etc/systemd/system/$timer.timer"
done
