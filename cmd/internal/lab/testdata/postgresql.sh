# Runs the PostgreSQL of the Debian below $1 with a new cluster in the folder $2,
# on port $3 of loopback, until SIGINT. It refuses root, and its user may not pass
# the folders above $2: it sees $2 as the home of that user. It runs in a mount
# namespace of its own that has nothing else of this machine: what is mounted in
# any namespace stays mounted.
root=$1
data=$2
port=$3
mount --bind "$root" "$root"
for dir in dev proc; do
	mount --rbind "/$dir" "$root/$dir"
done
mount --bind "$data" "$root/var/lib/postgresql"
cd "$root"
pivot_root . mnt
# The name of the cluster lets processes that are left be told by their folder.
exec chroot . sh -euc '
umount -l /mnt
chown postgres:postgres /var/lib/postgresql
cd /var/lib/postgresql
set -- "$1" "$2" /usr/lib/postgresql/*/bin
setpriv --reuid=postgres --regid=postgres --init-groups \
	"$3/initdb" --pgdata=data --username=orthanc --auth=trust --encoding=UTF8 --locale=C --no-sync
exec setpriv --reuid=postgres --regid=postgres --init-groups --pdeathsig=INT \
	"$3/postgres" -D data -F -h 127.0.0.1 -p "$2" -k "" --cluster_name="$1"
' sh "$data" "$port"
