#!/usr/bin/busybox sh
# The first process of the machine: what a host has from its boot, then the program, then its exit code.
b=/usr/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
$b mkdir -p /dev/pts /dev/shm /usr/busybox
$b mount -t devpts devpts /dev/pts
for folder in /dev/shm /run; do $b mount -t tmpfs tmpfs $folder; done
$b ln -s /proc/self/fd /dev/fd
$b --install -s /usr/busybox
[ -e /usr/bin/sh ] || $b ln -s busybox /usr/bin/sh
for module in $($b cat /modules/list); do
	$b insmod /modules/$module.ko || { echo "init: module $module cannot be loaded"; $b poweroff -f; }
done
$b ip link set lo up
# The second serial port is the program's, and bytes go through it as they are.
exec >/dev/ttyS1 2>&1 </dev/null
$b stty -F /dev/ttyS1 raw -echo
$b env -i HOME=/ PATH=/programs:/usr/sbin:/usr/bin:/usr/busybox /program
printf '\001exit %s\n' $?
$b sleep 600
