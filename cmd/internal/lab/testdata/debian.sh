#!/bin/sh
# Makes the folder $1 a Debian of suite $2 with its Orthanc, DICOMweb, the index
# in PostgreSQL, and that server without a cluster, from the mirror of this
# machine's apt sources. It runs in a mount namespace of its own, because
# debootstrap mounts.
set -eu
root=$1
suite=$2
unset TMPDIR # a folder of this machine

mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
	awk '$2 == "bookworm" && $3 == "main" { print $1; exit }')
if [ -z "$mirror" ]; then
	echo "the apt sources of this machine do not have Debian's bookworm (after 'apt-get update')" >&2
	exit 1
fi

# bookworm's debootstrap has no script for suites that are newer than trixie.
debootstrap --variant=minbase "$suite" "$root" "$mirror" /usr/share/debootstrap/scripts/trixie
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
mkdir "$root/etc/postgresql-common"
echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
mount -t devpts devpts "$root/dev/pts" 2>/dev/null || true
chroot "$root" sh -euc '
apt-get -q update
DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends \
	orthanc orthanc-dicomweb orthanc-postgresql postgresql
apt-get clean
'
rm -rf "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/*
