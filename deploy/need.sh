# need PACKAGE TEST...: installs a Debian package where the test fails and this user may install, and else says so.
need() {
    local package=$1 as_root=()
    shift
    if "$@" > /dev/null 2>&1; then return; fi
    if [ "$(id -u)" != 0 ]; then as_root=(sudo); fi
    if command -v apt-get > /dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2> /dev/null || [ -t 0 ]; }; then
        "${as_root[@]}" apt-get update -qq && "${as_root[@]}" apt-get install -qqy "$package" && return
    fi
    echo "$package is not here and this user may not install it: sudo apt install $package" >&2
    return 1
}
