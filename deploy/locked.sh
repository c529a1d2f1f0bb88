# locked PYTHON NAME: prints deploy/locks/NAME.txt where that file is for that interpreter, or nothing.
locked() {
    local file=deploy/locks/$2.txt target
    target=$("$1" -c 'import platform; print("{1}.{2}-{0}".format(platform.machine(), *platform.python_version_tuple()))')
    if grep -qs "^# For .*\b$target\b" "$file"; then echo "$file"; fi
}

# locked_or_fail PYTHON NAME: as locked, and where it prints nothing this says for what the file is, and fails.
locked_or_fail() {
    local lock
    lock=$(locked "$1" "$2")
    if [ -z "$lock" ]; then
        echo "limen: deploy/locks/$2.txt is for $(sed -n 's/^# For //p' "deploy/locks/$2.txt"), and not for $("$1" -V) on" \
            "$(uname -m): take a base that has one of these, or add this one in deploy/lock and run it" >&2
        return 1
    fi
    echo "$lock"
}

# install_limen PYTHON SOURCES NUMPY_MAJOR EXTRA UNLOCKED: installs the sources into the environment of that interpreter,
# with what deploy/locks names, hash by hash. Where it has nothing for this machine, or UNLOCKED is yes, pip chooses.
install_limen() {
    local python=$1 sources=$2 numpy=$3 extra=$4 unlocked=$5 lock bound='numpy>=1'
    lock=$(locked "$python" "numpy$numpy")
    if [ -n "$lock" ] && [ "$unlocked" != yes ]; then
        local files=(--requirement "$lock")
        if [ "$extra" = fleet ]; then files+=(--requirement deploy/locks/fleet.txt); fi
        "$python" -m pip install --quiet --require-hashes --only-binary=:all: "${files[@]}" || {
            echo "limen: pip cannot install what $lock names, and all stays as it was; see above. Without versions and" \
                "hashes: sudo deploy/install --unlocked" >&2
            return 1
        }
        "$python" -m pip install --quiet --no-index --no-deps --no-build-isolation "$sources"
        return
    fi
    if [ -z "$lock" ]; then echo "limen: deploy/locks has nothing for $("$python" -V) on $(uname -m)"; fi
    echo "limen: pip chooses versions within pyproject.toml, and no hashes are compared"
    if [ "$numpy" = 1 ]; then bound='numpy<2'; fi
    "$python" -m pip install --quiet "$sources${extra:+[$extra]}" "$bound"
}
