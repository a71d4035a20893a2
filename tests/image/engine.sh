#!/usr/bin/env bash
# A container engine, and images to build the gateway's on, from Debian's packages alone: for where no registry of
# images can be reached. Needs Debian and root; safe to run again. What it makes is kept by name:
#
#   localhost/gateway-test-build  Python with ensurepip, and a shell
#   localhost/gateway-test-base   the same without a shell
set -euo pipefail
export CONTAINERS_CONF
CONTAINERS_CONF=$(realpath "$(dirname "$0")")/containers.conf

missing=()
for tool in podman buildah runc debootstrap; do
    command -v "$tool" >/dev/null || missing+=("$tool") # the package's name, too
done
if ((${#missing[@]})); then
    echo "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null
fi

build=localhost/gateway-test-build
if ! podman image exists "$build"; then
    echo "making $build"
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # The packages are unpacked and not configured, which would take most of the time and matters to nothing here.
    debootstrap --foreign --variant=minbase --include=python3,python3-venv,ca-certificates "$codename" "$root" >/dev/null
    for package in $(<"$root"/debootstrap/base); do
        deb=$(awk -v package="$package" '$1 == package {print $2}' "$root"/debootstrap/debpaths)
        dpkg-deb --fsys-tarfile "$root/$deb" | tar -x --keep-directory-symlink -C "$root"
    done
    rm -rf "$root"/proc  # which debootstrap may have made a link to the host's
    mkdir "$root"/proc
    rm -rf "$root"/debootstrap "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    # The host's authorities: what it trusts to install from, the build trusts, too.
    cp /etc/ssl/certs/ca-certificates.crt "$root"/etc/ssl/certs/
    tar -C "$root" -c . | podman import --quiet --change 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' - "$build" >/dev/null
fi

base=localhost/gateway-test-base
if ! podman image exists "$base"; then
    echo "making $base"
    printf 'FROM %s\nRUN rm /bin/sh /bin/bash /bin/dash\n' "$build" | podman build --quiet --tag "$base" - >/dev/null
fi
