#!/usr/bin/env bash
# Certificates for a Dask cluster over TLS: an authority of its own, one certificate for scheduler, workers and you.
#
# tools/certificates.sh [<folder>]   (default: tls) writes ca.pem, cert.pem, key.pem; copy these three, and nothing
# else, to every machine by a safe way. Whoever has key.pem may run code on the cluster. A folder that has
# certificates is left as it is.
set -euo pipefail
folder=${1:-tls}
days=365

[[ -e $folder/key.pem ]] && {
  echo "encmac: error: $folder has certificates already; delete them to make new ones" >&2
  exit 2
}
command -v openssl >/dev/null || {
  echo "encmac: error: openssl is not installed; apt-get install openssl" >&2
  exit 2
}
umask 077
mkdir -p "$folder"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT # the authority's own key with it: it signs once
new_key=(req -newkey rsa:3072 -nodes -sha256)
openssl "${new_key[@]}" -x509 -days $days -subj "/CN=encmac authority" \
  -keyout "$scratch/ca-key.pem" -out "$scratch/ca.pem" 2>"$scratch/log" || { cat "$scratch/log" >&2; exit 1; }
openssl "${new_key[@]}" -subj "/CN=encmac" \
  -keyout "$scratch/key.pem" -out "$scratch/request.pem" 2>>"$scratch/log" || { cat "$scratch/log" >&2; exit 1; }
openssl x509 -req -sha256 -days $days -in "$scratch/request.pem" -CA "$scratch/ca.pem" \
  -CAkey "$scratch/ca-key.pem" -CAcreateserial -out "$scratch/cert.pem" 2>>"$scratch/log" || { cat "$scratch/log" >&2; exit 1; }
mv "$scratch/ca.pem" "$scratch/cert.pem" "$scratch/key.pem" "$folder/"
echo "$folder: ca.pem, cert.pem, key.pem, valid for $days days"
