#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# In the VM of service.sh, as a service of its own: the gateway is the VM itself, the hosts are namespaces.
#
#   service-guest.sh STAGE     1: install, find, kill, hang, cut   2: after the cut, cut again   3: after that; purge
stage=$1
art=/w/art/$stage
mkdir -p "$art"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/w:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
exec 2>>"$art/stderr.txt"

verdict() { if [ -z "$2" ]; then echo "ok - $1"; else echo "not ok - $1: $(tr '\n' ' ' <<<"$2" | cut -c 1-400)"; fi; }
# until SECONDS COMMAND...: it comes true in time
until_true() { local end=$((SECONDS + $1)); shift; until "$@" >/dev/null; do [ $SECONDS -lt $end ] || return 1; sleep 0.5; done; }
is_active() { [ "$(systemctl is-active weir@wan)" = active ]; }
pid_of() { systemctl show -p MainPID --value weir@wan; }
findings() { weir findings --json --since 1d; }
has_both() { findings >"$art/now.jsonl"; grep -q '"kind":"rate_limit"' "$art/now.jsonl" && grep -q '"kind":"rst_injection"' "$art/now.jsonl"; }
ids() { findings | grep -o '"finding":{"id":[0-9]*' | sort -u; }
# kept BEFORE: what was found before is there; nothing found before proves nothing
kept() {
	local now i
	now=$(ids)
	[ -n "$1" ] || echo "there was none before"
	for i in $1; do grep -qxF -- "$i" <<<"$now" || echo "gone: $i"; done
}
another() { local p; p=$(pid_of); [ "$p" != 0 ] && [ "$p" != "$1" ] && is_active; }

network() {
	for ns in cli isp srv; do ip netns add $ns; done
	ip link add eth0 netns cli type veth peer name lan addr 02:00:00:00:01:01
	ip link add wan addr 02:00:00:00:02:01 type veth peer name cust netns isp addr 02:00:00:00:02:02
	ip link add core netns isp addr 02:00:00:00:03:01 type veth peer name eth0 netns srv addr 02:00:00:00:03:02
	for d in cli:eth0 isp:cust isp:core srv:eth0; do
		ip netns exec ${d%:*} sh -c "sysctl -qw net.ipv4.ip_forward=1; ip link set lo up; ip link set ${d#*:} up"
	done
	# What ethtool -K tso off gso off does: a policer counts packets as they are on a wire.
	for d in cli:eth0 isp:cust isp:core srv:eth0; do ip -n ${d%:*} link set ${d#*:} gso_max_segs 1; done
	for d in lan wan; do ip link set $d gso_max_segs 1; done
	sysctl -qw net.ipv4.ip_forward=1
	ip link set lan up; ip link set wan up
	ip addr add 10.10.0.1/24 dev lan; ip addr add 10.20.0.1/30 dev wan; ip route add default via 10.20.0.2
	for i in 2 3 4 5 6 7; do
		ip -n cli addr add 10.10.0.$i/24 dev eth0
		ip -n srv addr add 10.30.0.$i/24 dev eth0
	done
	ip -n isp addr add 10.20.0.2/30 dev cust; ip -n isp addr add 10.30.0.1/24 dev core
	ip -n isp route add 10.10.0.0/24 via 10.20.0.1
	ip -n cli route add default via 10.10.0.1; ip -n srv route add default via 10.30.0.1
	ip netns exec srv tc qdisc add dev eth0 root netem delay 40ms limit 100000
	# What the provider does: one service policed, one name reset.
	tc -n isp qdisc add dev core clsact
	tc -n isp filter add dev core ingress protocol ip flower ip_proto tcp src_port 5222 action police rate 1500kbit burst 100000 conform-exceed drop
	ip netns exec isp inject cust sni:forbidden 443 rst to=both flags=RA n=3 ttl=random ipid=random delay=10 \
		downmac=02:00:00:00:02:01 upmac=02:00:00:00:03:02 upif=core downif=cust >"$art/forged.log" &
	for s in tls:2:443 http:3:80 noise:4:5222; do
		IFS=: read -r p a port <<<"$s"
		ip netns exec srv traffic server $p 10.30.0.$a $port >/dev/null &
	done
}

traffic_goes() {
	c="ip netns exec cli traffic client"
	$c noise 10.30.0.4 5222 src=10.10.0.2 n=4 every=18000 down=3M timeout=30000 &
	$c tls 10.30.0.2 443 src=10.10.0.2 n=18 every=3000 down=600k sni=www.open.example &
	$c http 10.30.0.3 80 src=10.10.0.2 n=13 every=4000 down=400k host=open.example &
	$c tls 10.30.0.2 443 src=10.10.0.2 n=40 every=1500 down=60k sni=www.forbidden.example &
} >/dev/null 2>&1

rights() {
	local p mask=$((1 << 12 | 1 << 38 | 1 << 39)) k v u
	p=$(pid_of)
	while read -r k v u _; do
		case $k in
		CapInh: | CapPrm: | CapEff: | CapBnd: | CapAmb:) echo "$k $v" >>"$art/rights.txt"; [ $((16#$v & ~mask)) = 0 ] || echo "$k $v" ;;
		NoNewPrivs:) [ "$v" = 1 ] || echo "$k $v" ;;
		Seccomp:) [ "$v" = 2 ] || echo "$k $v" ;;
		Uid:) [ "$v" = "$(id -u weir)" ] && [ "$u" = "$v" ] || echo "$k $v $u" ;;
		esac
	done <"/proc/$p/status"
	[ "$(wc -l <"$art/rights.txt")" -ge 5 ] || echo "no capabilities were read"
}

scrape() { exec 3<>/dev/tcp/127.0.0.1/9988 && printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3 && cat <&3; exec 3>&-; }
# save: as it stands while it is written: the log's whole lines and a quiescent history
save() {
	systemctl stop weir@wan
	cp /var/log/weir/wan.jsonl* /var/lib/weir/history.db* "$art/"
	sync -f /w
}
cut_now() { sync -f /w; echo VMSERVICE-CUT; sleep 60; }

end() {
	journalctl -u weir@wan --no-pager >"$art/journal.txt"
	dmesg >"$art/dmesg.txt"
}

case $stage in
1)
	echo "# $(. /etc/os-release; echo "$PRETTY_NAME"), kernel $(uname -r), up $(cut -d. -f1 /proc/uptime) s"
	network
	echo 'deb [trusted=yes] file:/w/repo ./' >/etc/apt/sources.list
	verdict "apt installs the package" "$( (apt-get -q update && apt-get -q -y install weir) >"$art/apt.txt" 2>&1 || tail -n 3 "$art/apt.txt")"
	verdict "nothing is watched by itself" "$(pgrep -a weir; systemctl is-enabled weir@wan weir | grep -x enabled)"
	weir check wan >"$art/check.txt" 2>&1
	mkdir -p /var/lib/prometheus/node-exporter
	setfacl -m u:weir:rwx /var/lib/prometheus/node-exporter
	sed -i 's|^;\(textfile = \)|\1|; s|^;\(listen = \)|\1|' /etc/weir/weir.conf
	verdict "systemctl start weir@wan" "$(systemctl start weir@wan 2>&1; is_active || journalctl -u weir@wan --no-pager | tail -n 4)"
	verdict "no rights beyond the three capabilities" "$(rights)"
	score=$(systemd-analyze security weir@wan --no-pager | sed -nE 's/.*exposure level.*: ([0-9.]+) .*/\1/p')
	verdict "systemd-analyze security: $score" "$(awk -v s="$score" 'BEGIN { exit !(s != "" && s <= 2.0) }' || echo "above 2.0, or not told")"
	traffic_goes
	verdict "weir findings shows the rate limit and the resets" "$(until_true 150 has_both || cat "$art/now.jsonl")"
	weir findings >"$art/findings.txt"
	sed 's/^/# /' "$art/findings.txt" | cut -c 1-160 | head -n 12
	useradd seer && usermod -aG weir seer; useradd stranger
	verdict "who is in the group weir sees them without rights" "$(runuser -u seer -- weir findings --connect /run/weir/wan.sock --json | grep -q rst_injection || echo none)"
	verdict "who isn't does not" "$(runuser -u stranger -- weir findings --connect /run/weir/wan.sock --json 2>&1 | grep rst_injection)"
	verdict "weir report shows both" "$(weir report --since 1d -o "$art/report.html" 2>&1; weir report --since 1d --format json -o "$art/report.json" 2>&1
		for k in rate_limit rst_injection; do grep -q "$k" "$art/report.json" || echo "no $k"; done)"
	scrape >"$art/http.txt"
	verdict "metrics over HTTP show both" "$(for k in rate_limit rst_injection; do grep -E "^weir_findings_(open|total)\{.*$k" "$art/http.txt" | grep -qv ' 0$' || echo "no $k"; done)"
	sleep 16
	verdict "the textfile shows both" "$(for k in rate_limit rst_injection; do grep -E "^weir_findings_(open|total)\{.*$k" /var/lib/prometheus/node-exporter/weir.prom | grep -qv ' 0$' || echo "no $k"; done)"
	verdict "evidence of each" "$(for k in rate_limit rst_injection; do
		id=$(findings | grep "\"kind\":\"$k\"" | head -n 1 | grep -o '"finding":{"id":[0-9]*' | cut -d: -f3)
		weir evidence "$id" -o - >"$art/ev-$k.pcapng" 2>"$art/ev-$k.err" && [ -s "$art/ev-$k.pcapng" ] || { echo "$k $id:"; cat "$art/ev-$k.err"; }
	done)"
	before=$(ids)
	p=$(pid_of)
	kill -KILL "$p"
	verdict "killed, it is started again" "$(until_true 60 another "$p" || systemctl status weir@wan --no-pager | tail -n 5)"
	verdict "killed, it kept its findings" "$(kept "$before")"
	p=$(pid_of)
	kill -STOP "$p"
	verdict "hung, the watchdog ends it and it is started again" "$(until_true 120 another "$p" || systemctl status weir@wan --no-pager | tail -n 5
		journalctl -u weir@wan --no-pager | grep -qi 'watchdog timeout' || echo "no watchdog in the journal")"
	verdict "hung, it kept its findings" "$(kept "$before")"
	systemctl enable -q weir@wan
	save
	end
	ids >/w/ids
	sync
	systemctl start weir@wan
	traffic_goes
	sleep 12
	cut_now
	;;
2 | 3)
	network
	verdict "run $stage: enabled, it starts with its interface" "$(until_true 120 is_active || journalctl -b -u weir@wan --no-pager | tail -n 4)"
	verdict "run $stage: the findings of before are there" "$(kept "$(cat /w/ids)")"
	verdict "run $stage: no rights beyond the three" "$(rights)"
	was=$(findings | wc -l)
	# Each finding that opens is a line of the log; those of before the cut don't count.
	told() { grep '"event_type":"finding"' /var/log/weir/wan.jsonl | grep -c rst_injection; }
	had=$(told)
	opened() { [ "$(told)" -gt "$had" ]; }
	traffic_goes
	verdict "run $stage: it finds on ($was findings so far)" "$(until_true 100 opened || tail -n 2 /var/log/weir/wan.jsonl)"
	save
	end
	if [ "$stage" = 2 ]; then
		systemctl start weir@wan
		traffic_goes
		# While it starts: the worst moment for a history.
		sleep 1
		cut_now
	fi
	verdict "apt purges it, and its data" "$(apt-get -q -y purge weir >"$art/purge.txt" 2>&1 || tail -n 3 "$art/purge.txt"; ls -d /var/lib/weir /var/log/weir /etc/weir 2>/dev/null; pgrep -a weir)"
	sync
	echo VMSERVICE-END
	systemctl poweroff
	;;
esac
