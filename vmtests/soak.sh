#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Mixed traffic for some minutes, scenarios switched on and off in it: each kind must be found,
# nothing else, and weir's memory, files and threads must not grow.
#
#   soak.sh BUILD_DIR MINUTES KERNEL
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1 minutes=$2 kernel=$3
out=$build/soak
mkdir -p "$out"
out=$(cd "$out" && pwd)
cycle=180
cycles=$(((minutes * 60 + cycle - 1) / cycle))
end=$((cycles * cycle))

# Sessions one every MS for the whole time.
all()	# ms
{
	echo "n=$((end * 1000 / $1 - 1)) every=$1"
}

{
	cat <<-END
	row soak
	title mixed traffic for $minutes minutes, scenarios on and off
	rtt 40
	end $end
	nooffline
	watchmemory
	anysuspects
	at 0 base isp tc qdisc add dev core clsact
	at 0.2 traffic noise cli1 srv3 $(all 4000) down=60k timeout=9000
	at 1.2 traffic noise cli2 srv5 $(all 4000) down=60k timeout=9000
	at 2.2 traffic noise cli3 srv6 $(all 4000) down=60k timeout=9000
	at 0.4 traffic tls cli4 srv3 $(all 5000) down=100k sni=www.a.example
	at 0.6 traffic tls cli4 srv5 $(all 5000) down=300k sni=www.b.example
	at 0.8 traffic tls cli5 srv6 $(all 3000) down=100k sni=www.forbidden.example
	at 1.0 traffic http cli5 srv2 $(all 3000) down=150k host=open.example
	at 1.4 traffic stun cli6 srv4 $(all 4000)
	at 1.6 traffic random cli6 srv7 $(all 7000) down=50k
	find rate_limit/policer down type=whatsapp-text|noise limit_bps=302800~10%
	find rst_injection
	find selective_drop/blackhole type=whatsapp-text|noise
	END
	t=0
	while [ "$t" -lt "$end" ]; do
		cat <<-END
		at $((t + 10)) on isp tc filter add dev core ingress protocol ip pref 7 flower ip_proto tcp src_port 5222 action police rate 300kbit burst 20000 conform-exceed drop
		at $((t + 65)) off isp tc filter del dev core ingress pref 7
		at $((t + 75)) inject sni:forbidden 443 rst to=both flags=RA n=2 ttl=random delay=8 for=25
		at $((t + 115)) on isp nft add rule inet w f tcp dport 5222 @th,256,16 0x5741 drop
		at $((t + 150)) off isp nft flush chain inet w f
		END
		t=$((t + cycle))
	done
} >"$out/soak.scn"
sh "$here/run.sh" "$build" -k "$kernel" -H live -F "$out/soak.scn" -o "$out" -j 2
