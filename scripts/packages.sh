# Sourced by scripts/test: which of the programs that the tests need this machine lacks, and, on Debian and Ubuntu, their
# installation. Lists are words in a string, for the bash that macOS has.
# shellcheck shell=bash disable=SC2086

# Prints the servers that are neither installed nor named by their variable, one a line.
missing_servers() {
  if [ -z "${STANCHION_TEST_POSTGRES_URL:-}" ] && ! has_postgres; then echo PostgreSQL; fi
  if [ -z "${STANCHION_TEST_MYSQL_URL:-}" ] && ! has_program mariadbd; then echo MariaDB; fi
  if [ -z "${STANCHION_TEST_REDIS_URL:-}" ] && ! has_program redis-server; then echo Redis; fi
  if ! has_program pgbouncer; then echo PgBouncer; fi
  # Tests set other processes' clocks by it, on Linux alone.
  if [ "$(uname)" = Linux ] && ! has_program faketime; then echo faketime; fi
}

has_program() {
  # Normal users have no sbin in their PATH.
  PATH="$PATH:/usr/sbin:/usr/local/sbin:/opt/homebrew/bin" command -v "$1" >/dev/null
}

has_postgres() {
  has_program initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ||
    compgen -G '/usr/pgsql-*/bin/initdb' >/dev/null || compgen -G '/opt/homebrew/opt/postgresql@*/bin/initdb' >/dev/null
}

# Prints the Debian packages that are to be installed, one a line.
missing_packages() {
  local server
  for server in $(missing_servers); do
    case $server in
      PostgreSQL) echo postgresql ;;
      MariaDB) echo mariadb-server ;;
      Redis) echo redis-server ;;
      PgBouncer) echo pgbouncer ;;
      faketime) echo faketime ;;
    esac
  done
  if ! has_program cc; then printf '%s\n' build-essential pkg-config; fi
}

# Empty for root, else the command that makes us root.
as_root=()

# Installs what is missing, if this is Debian or Ubuntu and we may; else says nothing and does nothing.
install_packages() {
  local packages package flags=(-o DPkg::Lock::Timeout=300)
  packages=$(missing_packages)
  [ -n "$packages" ] && command -v apt-get >/dev/null || return 0
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || return 0
    as_root=(sudo -n)
  fi
  # MariaDB's package would remove an installed MySQL: on a person's machine that is not for a test script to decide.
  [ "${CI:-}" = true ] || flags+=(--no-remove)

  echo "scripts/test: installing" $packages >&2
  "${as_root[@]}" apt-get -qq update
  without_starting_services env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install -y --no-install-recommends "${flags[@]}" $packages >&2
  # The testbed starts the programs itself. Installed just now, their services were nobody's before.
  if [ -d /run/systemd/system ]; then
    for package in $packages; do
      case $package in
        mariadb-server) "${as_root[@]}" systemctl --quiet disable --now mariadb || true ;;
        pgbouncer | postgresql | redis-server) "${as_root[@]}" systemctl --quiet disable --now "$package" || true ;;
      esac
    done
  fi
}

# Runs a command under a policy by which packages do not start their services.
without_starting_services() {
  local policy=/usr/sbin/policy-rc.d status=0
  if [ -e "$policy" ]; then
    # The machine has a policy of its own: containers do.
    "${as_root[@]}" "$@"
    return
  fi
  # Also when the script is interrupted: services that are installed later must start again.
  trap '"${as_root[@]}" rm -f /usr/sbin/policy-rc.d' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
  "${as_root[@]}" "$@" || status=$?
  "${as_root[@]}" rm -f "$policy"
  trap - EXIT
  return "$status"
}

# Says what to do about servers that are still missing, on this system.
explain_missing() {
  local servers
  servers=$(missing_servers)
  [ -n "$servers" ] || return 0
  {
    echo "scripts/test: not installed:" $servers"; its tests will not run. To run them,"
    if command -v apt-get >/dev/null; then
      echo "  sudo apt-get install" $(missing_packages)
    elif [ "$(uname)" = Darwin ]; then
      echo "  brew install postgresql@17 mariadb redis pgbouncer"
    else
      echo "  install PostgreSQL (initdb, postgres), MariaDB (mariadbd, mariadb-install-db), redis-server, pgbouncer and faketime"
    fi
    echo "or name servers that run already, such as those of docker/compose.yml (docker compose -f docker/compose.yml up -d):"
    echo "  STANCHION_TEST_POSTGRES_URL=postgres://stanchion:PASSWORD@127.0.0.1:5432/stanchion"
    echo "  STANCHION_TEST_MYSQL_URL=mysql://root:PASSWORD@127.0.0.1:3306/stanchion"
    echo "  STANCHION_TEST_REDIS_URL=redis://:PASSWORD@127.0.0.1:6379"
    echo "whose user may create and drop databases."
  } >&2
}
