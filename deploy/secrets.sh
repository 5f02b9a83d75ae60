#!/bin/sh
# Makes the secrets that docker-compose.yml reads, each once: what is there stays as it is.
set -eu
folder="$(dirname "$0")/secrets"
mkdir -p "$folder"
chmod 700 "$folder"
for name in redis_password redis_service_password redis_worker_password redis_webhooks_password api_key_pepper webhook_secret grafana_admin_password; do
  if [ ! -s "$folder/$name" ]; then
    head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' > "$folder/$name"
    # Readable to the containers' users, who see the file alone; the folder keeps everyone else out.
    chmod 444 "$folder/$name"
    echo "made deploy/secrets/$name"
  fi
done
