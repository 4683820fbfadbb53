# Given the login user and its public key, make a fresh host one that is reached over ssh, and looked after.
user=$1 key=$2

ssh-keygen -A >/dev/null
cat >/etc/ssh/sshd_config.d/lab.conf <<'CONFIG'
PermitRootLogin no
PasswordAuthentication no
UseDNS no
CONFIG

useradd --create-home --shell /bin/bash "$user"
install -d -o "$user" -g "$user" -m 700 "/home/$user/.ssh"
echo "$key" >"/home/$user/.ssh/authorized_keys"
echo "$user ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/lab
systemctl enable --quiet --now ssh.service prometheus-node-exporter.service

install -d -m 700 /etc/incidentctl
(umask 077 && head -c 24 /dev/urandom | base64 >/etc/incidentctl/restic)
