#!/bin/sh
# A certificate for a broker, for Foretwin or for a machine, by an authority of the plant's own:
#
#   sh certificates.sh FOLDER NAME [SUBJECT_ALT_NAME]
#
# FOLDER gets NAME.pem and NAME-key.pem, the first time also ca.pem and ca-key.pem, which stays where it is.
set -eu
folder=$1 name=$2 alternative=${3:-}
case $name in *[/+#]*) echo "error: $name: is no name of a machine; write one without /, + and #" >&2; exit 1;; esac
umask 077
key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
mkdir -p "$folder" && cd "$folder"
if [ ! -e ca.pem ]; then
    openssl req -x509 $key -days 3650 -subj "/CN=plant authority" -keyout ca-key.pem -out ca.pem
fi
openssl req $key -subj "/CN=$name" -keyout "$name-key.pem" -out "$name.csr"
printf 'basicConstraints=CA:FALSE\n%s' "${alternative:+subjectAltName=$alternative}" > "$name.ext"
openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 730 -extfile "$name.ext" -out "$name.pem"
rm "$name.csr" "$name.ext"
chmod 644 ca.pem "$name.pem"
