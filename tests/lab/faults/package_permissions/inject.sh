# A package is installed whose script after installation sets owner and mode of a folder that is not its own.
folder=$(mktemp --directory)
install -d "$folder/DEBIAN" "$folder/usr/share/orders-tools"
echo 'Exports orders for the accountants.' >"$folder/usr/share/orders-tools/README"
cat >"$folder/DEBIAN/control" <<'CONTROL'
Package: orders-tools
Version: 1.4-1
Architecture: all
Maintainer: Accounting <accounting@example.org>
Description: exports of orders
CONTROL
cat >"$folder/DEBIAN/postinst" <<'SCRIPT'
#!/bin/sh
set -e
chown -R root:root /srv/orders/data
chmod 700 /srv/orders/data
SCRIPT
chmod 755 "$folder/DEBIAN/postinst" "$folder"
dpkg-deb --build "$folder" "$folder.deb" >/dev/null
dpkg --install "$folder.deb" >/dev/null
rm -rf "$folder" "$folder.deb"
