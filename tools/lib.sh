# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# What the scripts of this directory share. They set `here` to it first.

say()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die()
{
	say "$*"
	exit 1
}

# Runs a command as root, through sudo where it must.
as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		return 1
	fi
}

# packages_list COLUMN PURPOSE...: names for apt (2), dnf (3), pacman (4) or
# zypper (5).
packages_list()
{
	local column=$1

	shift
	awk -v column="$column" -v purposes=" $* " \
		'!/^#/ && index(purposes, " " $1 " ") && $column != "-" \
			{ print $column }' "${here:?}/packages" | sort -u
}

packages_missing()
{
	local name

	for name in $(packages_list 2 "$@"); do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$name" \
			2>/dev/null)" = installed ] || echo "$name"
	done
}

# packages_print PURPOSE...: what to install, for whoever does it by hand.
packages_print()
{
	local pair

	say "these packages are needed:"
	for pair in 'dnf install:3' 'pacman -S --needed:4' 'zypper install:5' \
		'apt-get install:2'; do
		printf '\n%s %s\n' "${pair%:*}" \
			"$(packages_list "${pair#*:}" "$@" | paste -sd' ')" >&2
	done
}

apt_quiet()
{
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -qq -o Dpkg::Use-Pty=0 "$@" >&2 </dev/null
}

# packages_need PURPOSE...: installs what is missing; fails, with the names,
# where it cannot.
packages_need()
{
	local missing

	if ! command -v dpkg-query apt-get >/dev/null; then
		packages_print "$@"
		return 1
	fi
	missing=$(packages_missing "$@" | paste -sd' ')
	[ -n "$missing" ] || return 0
	say "installing $missing"
	# shellcheck disable=SC2086 # a list of words
	if ! { apt_quiet update &&
		apt_quiet install --no-install-recommends $missing; }; then
		say "cannot install them; as root: apt-get install $missing"
		return 1
	fi
}
