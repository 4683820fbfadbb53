#!/bin/sh
# Say curl's exit code for a connection from this host to the mail relay: 0 it answers, 7 it is refused.
# The relay is a network namespace of its own, so that nothing leaves this machine.
set -eu
trap 'kill "$relay"; ip netns delete relay' EXIT
ip netns add relay
ip link add relay0 type veth peer name eth0 netns relay
ip address add 198.51.100.1/24 dev relay0
ip link set relay0 up
ip -n relay address add 198.51.100.2/24 dev eth0
ip -n relay link set eth0 up
ip netns exec relay python3 -m http.server --directory /usr/share/doc 9100 >/dev/null 2>&1 &
relay=$!
until ip netns exec relay ss --no-header --listening --tcp --numeric | grep -q :9100; do sleep 0.1; done
code=0
curl --silent --output /dev/null --max-time 3 http://198.51.100.2:9100/ || code=$?
echo "$code"
