#!/bin/sh
# Writes new passwords and a token into .env, where they are empty. Without .env, it begins with .env.example.
set -eu
cd "$(dirname "$0")"
umask 077
if [ -e .env ]; then cp .env .env.new; else cp .env.example .env.new; fi
for name in LABEL_STUDIO_API_KEY LABEL_STUDIO_PASSWORD BASIC_AUTH_PASS POSTGRES_PASSWORD; do
    value=$(od -An -N20 -tx1 /dev/urandom | tr -d ' \n')
    sed "s/^$name=\$/$name=$value/" .env.new > .env.next
    mv .env.next .env.new
done
mv .env.new .env
echo "Label Studio:      http://localhost:8080, sign in with LABEL_STUDIO_USERNAME and LABEL_STUDIO_PASSWORD of .env"
echo "Settings → Model:  http://backend.internal:9090, with BASIC_AUTH_USER and BASIC_AUTH_PASS of .env"
