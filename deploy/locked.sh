# locked PYTHON NUMPY_MAJOR: prints the file of deploy/locks for that interpreter, or nothing where there is none.
locked() {
    local file=deploy/locks/numpy$2.txt target
    target=$("$1" -c 'import platform; print("{1}.{2}-{0}".format(platform.machine(), *platform.python_version_tuple()))')
    if grep -qs "^# For .*\b$target\b" "$file"; then echo "$file"; fi
}

# install_limen PYTHON SOURCES NUMPY_MAJOR EXTRA UNLOCKED: installs the sources into the environment of that interpreter,
# with what deploy/locks names, hash by hash. Where it has nothing for this machine, or UNLOCKED is yes, pip chooses.
install_limen() {
    local python=$1 sources=$2 numpy=$3 extra=$4 unlocked=$5 lock bound='numpy>=1'
    lock=$(locked "$python" "$numpy")
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
