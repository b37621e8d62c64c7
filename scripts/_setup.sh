# Sourced by the other scripts: makes what they need, from nothing, on Debian; elsewhere (Windows too, in Git's shell)
# it says what is missing.
# Leaves $PY: the Python of a virtual environment inside the checkout (ignored by git).
set -eu
ROOT=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cd "$ROOT"
case "$(uname -s)" in
    MINGW* | MSYS* | CYGWIN*) BIN=Scripts ;;
    *) BIN=bin ;;
esac
PY="$ROOT/.venv/$BIN/python"
# find_python: leaves in $FIRST_PY the Python that makes virtual environments. On Windows `python3` may only open the shop.
find_python() {
    if python3 -c '' 2>/dev/null; then FIRST_PY=python3; else FIRST_PY=python; fi
}
find_python
export PIP_DISABLE_PIP_VERSION_CHECK=1
# What is compiled is kept: the tests are hundreds of processes, and each would compile every module anew.
unset PYTHONDONTWRITEBYTECODE

# need_debian PACKAGE...: installs the Debian packages that are not there yet.
need_debian() {
    missing=""
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "install ok installed" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || { echo "Please install:$missing" >&2; return 0; }
    as_root=""
    if [ "$(id -u)" != 0 ]; then
        as_root="sudo"
        if ! command -v sudo >/dev/null; then
            echo "These Debian packages are missing, and this account cannot install them:$missing" >&2
            echo "Ask an administrator to run: apt-get install --no-install-recommends$missing" >&2
            exit 1
        fi
    fi
    $as_root apt-get update -qq
    # shellcheck disable=SC2086 # a list of packages is meant to be split
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# state_of FILE...: prints a number that changes with the content of the files.
state_of() {
    cat "$@" | cksum | tr ' ' '-'
}

# need_suite: what the whole test suite needs beside Python: ODBC drivers, a PostgreSQL server, a proxy, a browser.
need_suite() {
    need_debian unixodbc libsqliteodbc odbc-postgresql postgresql pgbouncer squid-openssl chromium locales
}

# need_venv_module: what makes virtual environments, which Debian has in a package of its own.
need_venv_module() {
    if ! "$FIRST_PY" -c 'import ensurepip, venv' 2>/dev/null; then
        need_debian python3-venv
        # Before the package was there, the machine may have had no Python at all.
        find_python
    fi
}

# need_python EXTRAS: makes the virtual environment and installs the project, and those of these extras (by commas) that
# are not there yet in the state of pyproject.toml and the lock files. Every package comes in the locked version and must
# have its hash. Nothing is compiled before it is used: most of it never is.
need_python() {
    need_venv_module
    [ -x "$PY" ] || "$FIRST_PY" -m venv "$ROOT/.venv"
    state=$(state_of pyproject.toml packaging/requirements-*.txt)
    locked=""
    stamps=""
    for extra in setup runtime $(echo "$1" | tr ',' ' '); do
        [ ! -e "$ROOT/.venv/installed-$extra-$state" ] || continue
        locked="$locked --requirement packaging/requirements-$extra.txt"
        stamps="$stamps $extra"
    done
    [ -n "$locked" ] || return 0
    # shellcheck disable=SC2086 # a list of options is meant to be split
    "$PY" -m pip install --quiet --no-compile --require-hashes $locked
    # Without isolation: what builds the package is locked as well.
    "$PY" -m pip install --quiet --no-deps --no-build-isolation --editable .
    for extra in $stamps; do
        touch "$ROOT/.venv/installed-$extra-$state"
    done
}

# last_commit_time: prints when the last commit was made, as SOURCE_DATE_EPOCH wants it; of a source without history, the
# first moment that a zip file knows. Git may distrust a checkout that another account made, as in a container.
last_commit_time() {
    git -c safe.directory='*' log -1 --format=%ct 2>/dev/null || echo 315532800
}

# need_wheel: leaves in $WHEEL the wheel that scripts/build makes; where it is not there, or older than the source, it
# is made first.
need_wheel() {
    version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' api_pipeline/_version.py)
    WHEEL="dist/csc_api_pipeline-$version-py3-none-any.whl"
    if [ ! -e "$WHEEL" ] || [ -n "$(find pyproject.toml api_pipeline -type f ! -name '*.pyc' -newer "$WHEEL")" ]; then
        scripts/build
    fi
}

# need_venv NAME: a virtual environment apart from the main one, with what packaging/requirements-NAME.txt locks and not
# the package; made once for each state of that file. Leaves its Python in $OTHER_PY.
need_venv() {
    need_python ""
    OTHER_PY="$ROOT/.venv/$1/$BIN/python"
    locked="packaging/requirements-$1.txt"
    stamp="$ROOT/.venv/$1/installed-$(state_of "$locked")"
    if [ ! -e "$stamp" ]; then
        # It is made beside its place and moved there whole: two scripts may want it at once.
        new="$ROOT/.venv/$1.$$"
        mkdir -p "$ROOT/.venv"
        "$FIRST_PY" -m venv --without-pip "$new"
        "$PY" -m pip --python "$new/$BIN/python" install --quiet --no-compile --require-hashes \
            --requirement "$locked"
        touch "$new/${stamp##*/}"
        (
            # Whoever comes second must not take away what the first works with already.
            if command -v flock >/dev/null; then flock 9; fi
            if [ ! -e "$stamp" ]; then
                rm -rf "$ROOT/.venv/$1"
                mv "$new" "$ROOT/.venv/$1"
            fi
        ) 9>"$ROOT/.venv/$1.lock"
        rm -rf "$new"
    fi
}
