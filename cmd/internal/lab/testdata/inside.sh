# Runs the rest of the arguments in the Debian below $1, which sees the folders
# of this machine that do not make up a Debian, and all that is mounted there.
# It runs in a mount namespace of its own, so that nothing is left behind.
root=$1
shift
for dir in root home media mnt opt run srv tmp var/tmp dev proc sys; do
	[ ! -d "/$dir" ] || [ ! -d "$root/$dir" ] || mount --rbind "/$dir" "$root/$dir"
done
exec chroot "$root" "$@"
