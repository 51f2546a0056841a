# Runs the rest of the arguments in the Debian below $1, which sees the folders
# of this machine that do not make up a Debian, and of what is mounted in them the
# folders in $2, one a line. It runs in a mount namespace of its own, which has
# nothing else of this machine: what is mounted in any namespace stays mounted.
root=$1
folders=$2
shift 2
mount --bind "$root" "$root"
for dir in root home media mnt opt run srv tmp var/tmp; do
	[ ! -d "/$dir" ] || [ ! -d "$root/$dir" ] || mount --bind "/$dir" "$root/$dir"
done
for dir in dev proc sys; do
	mount --rbind "/$dir" "$root/$dir"
done
echo "$folders" | while read -r dir; do
	mount --bind "$dir" "$root$dir"
done
cd "$root"
pivot_root . mnt
exec chroot . sh -euc 'umount -l /mnt; exec "$@"' sh "$@"
