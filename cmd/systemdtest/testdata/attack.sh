# attack.sh WHEN WHERETO SCRIPT ARGUMENT...
# Runs a script of the package as root, in a mount namespace of its own, against
# the user of Orthanc, who puts a link in the place of the mount point first, or
# in the middle: just before the script changes it. Fails if the script fails or
# changes something else.
when=$1 target=/var/lib/$2 script=$3
shift 3
scripts=$(cd ../../systemd/package && pwd)

mount -t tmpfs none /run # no systemd there
mount -t tmpfs none /var/lib
umask 022
mkdir /var/lib/empty /var/lib/full /var/lib/orthanc
touch /var/lib/secret /var/lib/full/file
chmod 0600 /var/lib/secret
chmod 0700 /var/lib/empty /var/lib/full
chown 4711 /var/lib/secret /var/lib/empty /var/lib/full
chown 12345:12345 /var/lib/orthanc

mkdir /run/bin
cat >/run/bin/put <<END
#!/bin/sh
exec setpriv --reuid 12345 --regid 12345 --clear-groups sh -c '
	cd /var/lib/orthanc
	if [ ! -L db ]; then
		[ ! -e db ] || mv db away
		ln -s $target db
	fi'
END
chmod 0755 /run/bin/put

# The machine gets no user by this.
printf '#!/bin/sh\n' >/run/bin/getent
chmod 0755 /run/bin/getent

case $when in
first) /run/bin/put ;;
middle)
	for tool in chattr chown chmod; do
		printf '#!/bin/sh\n/run/bin/put\nexec %s "$@"\n' "$(command -v "$tool")" >"/run/bin/$tool"
		chmod 0755 "/run/bin/$tool"
	done
	;;
esac

state() { stat --format='%n %F %a %u %g' /var/lib/secret /var/lib/empty /var/lib/full /var/lib/orthanc; }
before=$(state)
PATH=/run/bin:$PATH sh "$scripts/$script" "$@"
[ "$before" = "$(state)" ] || { echo "changed:"; state; exit 1; }
[ -L /var/lib/orthanc/db ] || { echo "the attack did not take place"; exit 1; }
