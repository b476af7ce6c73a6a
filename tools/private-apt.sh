# Read by tools/mbedtls and tools/musl-cross: a private apt directory, to fetch
# packages of another release or architecture from the mirror that the machine
# already uses. The machine's own apt configuration and package lists stay as
# they are, no root is needed, and apt checks the archive's signature.
#
# The caller sets $work (a scratch directory) and defines fail MESSAGE.

# The mirror is what the machine's own main component comes from. Suites with a
# dash or a slash are updates, backports and security.
private_apt_mirror()
{
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk '$2 !~ /[-\/]/ && $3 == "main" && !found { found = 1; print $1 } END { exit !found }'
}

# The machine's keyring may be older than the release. Then its own archive has
# a newer one, which apt verifies with the keys that the machine trusts already.
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
newer_keyring()
{
	(
		mkdir "$work/keys"
		cd "$work/keys"
		apt-get -qq -o APT::Sandbox::User=root download debian-archive-keyring >&2 &&
			dpkg-deb -x debian-archive-keyring_*.deb .
	) || return 1
	keyring=$work/keys/usr/share/keyrings/debian-archive-keyring.gpg
}

private_apt()
{
	apt-get -qq -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State="$work/apt/state" -o Dir::Cache="$work/apt/cache" -o APT::Sandbox::User=root \
		-o Acquire::Languages=none "$@"
}

# Any failure counts: by default apt goes on with a warning.
private_apt_update()
{
	rm -rf "$work/apt"
	mkdir -p "$work/apt/state/lists/partial" "$work/apt/cache/archives/partial"
	echo "$1 [$3 signed-by=$keyring] $4 $2 main" >"$work/apt/sources.list"
	private_apt -o APT::Update::Error-Mode=any update >&2
}

# private_apt_open TYPE RELEASE [OPTION]: makes `private_apt` read that release,
# TYPE is deb or deb-src, OPTION is for sources.list ("arch=mipsel").
private_apt_open()
{
	mirror=$(private_apt_mirror) || fail "no apt here, or it has no component 'main' to derive a mirror from"
	[ -f "$keyring" ] || newer_keyring || fail "no keyring of the Debian archive: install debian-archive-keyring"
	private_apt_update "$1" "$2" "${3:-}" "$mirror" && return
	echo "trying again with the newest keyring of this machine's archive" >&2
	newer_keyring && private_apt_update "$1" "$2" "${3:-}" "$mirror"
}
