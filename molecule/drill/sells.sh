# Does the shop sell?
curl --silent --fail --output /dev/null http://127.0.0.1:8000/health
