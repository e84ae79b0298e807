#!/bin/bash
# Proves the installed unit on a machine that may be thrown away: the package is installed, the agent
# runs under systemd, and every device is a kernel's virtual one. Run as root; each line says PASS or
# FAIL. Wants a kernel with dummy_hcd, usb_f_printer, usb_f_acm, gpio-sim, snd-aloop and hci_vhci, and
# alsa-utils, bluez and bluez-test-tools. An emulated processor needs WATCHDOG=120 (s) in the
# environment. What it proved and where: docs/systemd.md
# shellcheck disable=SC2016,SC2034,SC2317 # what eval runs is quoted on purpose
set -u
failures=0
check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >/dev/null 2>&1; then echo "PASS $name"; else echo "FAIL $name"; failures=$((failures + 1)); fi
}
until_true() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.5
    done
}
show() { systemctl show -p "$1" --value edge-agent; }
pid() { show MainPID; }
ready() { until_true 120 edge-agent status; }
inside() { nsenter -t "$(pid)" -m -- "$@"; }

# --- virtual devices --------------------------------------------------------------------------------
gadget() { # NAME VENDOR PRODUCT CONTROLLER SERIAL FUNCTION
    local g=/sys/kernel/config/usb_gadget/$1
    [ ! -d "$g" ] || return 0
    mkdir -p "$g/strings/0x409" "$g/configs/c.1" "$g/functions/$6"
    echo "$2" >"$g/idVendor"
    echo "$3" >"$g/idProduct"
    echo "$5" >"$g/strings/0x409/serialnumber"
    ln -s "$g/functions/$6" "$g/configs/c.1/"
    echo "$4" >"$g/UDC"
}
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
modprobe -a libcomposite snd-aloop gpio-sim hci_vhci
modprobe dummy_hcd num=4 is_high_speed=1
gadget paper 0x04b8 0x0e15 dummy_udc.0 PAPER1 printer.p0
gadget slip 0x0519 0x0003 dummy_udc.1 PAPER2 printer.p1
gadget line 0x0416 0x5011 dummy_udc.2 LINE3 acm.g0
gadget sky 0x1546 0x01a7 dummy_udc.3 SKY4 acm.g1
pins=/sys/kernel/config/gpio-sim/panel
if [ ! -d $pins ]; then
    mkdir -p $pins/bank0
    echo 4 >$pins/bank0/num_lines
    echo 1 >$pins/live
fi
udevadm settle
chip=$(cat $pins/bank0/chip_name)
gpio=/sys/devices/platform/$(cat $pins/dev_name)/$chip
systemctl start bluetooth
systemctl reset-failed virtual-radios 2>/dev/null
systemctl is-active -q virtual-radios || systemd-run -q -u virtual-radios btvirt -l2
until_true 30 test -e /sys/class/bluetooth/hci1
line=$(find /dev/serial/by-id -name '*LINE3*')
for far in g_printer0 g_printer1 ttyGS0; do
    [ "$far" = ttyGS0 ] && stty -F /dev/$far raw -echo
    # A printer that is opened anew ends the reading.
    while :; do
        cat /dev/$far
        sleep 0.2
    done >/tmp/far.$far 2>/dev/null &
done
readers=$(jobs -p)
trap 'kill $readers; rm -f /run/systemd/system/edge-agent.service.d/trial.conf' EXIT

check "names that stay" test -e /dev/edge/printer-PAPER1 -a -e /dev/edge/gps
echo "a key of the device" >/root/trial.key
chmod 600 /root/trial.key
mkdir -p /run/systemd/system/edge-agent.service.d
printf '[Service]\nLoadCredential=device.key:/root/trial.key\nWatchdogSec=%s\n' "${WATCHDOG:-30}" \
    >/run/systemd/system/edge-agent.service.d/trial.conf
systemctl daemon-reload
shop=$(mktemp)
cat >"$shop" <<END
role = "shop"
[device]
id = "unit-trial"
site = "trial"
[uplink]
url = "mqtt://127.0.0.1:1"
[[printer]]
name = "lp"
uri = "file:///dev/edge/printer-PAPER1"
[[printer]]
name = "usb"
uri = "usb://0519:0003"
[[printer]]
name = "line"
uri = "serial://$line?baud=9600"
[sound]
driver = "alsa"
device = "plughw:Loopback,0,0"
[panel]
driver = "gpio"
[panel.gpio]
chip = "/dev/$chip"
buttons = { sos = 0, ack = 1 }
lights = { sos = 2, alert = 3 }
[beacon]
driver = "bluez"
[beacons]
driver = "bluez"
[beacons.bluez]
adapter = "hci0"
END
install -m 640 -g edge-agent "$shop" /etc/edge-agent/config.toml

# --- life ------------------------------------------------------------------------------------------
systemctl stop edge-agent
check "start returns when the agent is ready" systemctl start edge-agent
check "and it is" edge-agent status
main=$(pid)
check "runs as its own user" [ "$(stat -c %U "/proc/$main")" = edge-agent ]
check "without a capability" grep -q '^CapEff:[[:space:]]*0000000000000000' "/proc/$main/status"
check "in its slot" grep -q "$(readlink -f /opt/edge-agent/current)/lib" "/proc/$main/maps"
check "memory is limited" [ "$(show MemoryMax)" = 268435456 ]
echo "memory now: $(($(show MemoryCurrent) / 1048576)) MB, tasks $(show TasksCurrent)"
systemctl reload edge-agent
sleep 3
check "reload keeps the process" [ "$(pid)" = "$main" ]
for path in /usr/x /etc/x /opt/edge-agent/x /boot/x; do
    check "no writing to $path" eval "! inside touch $path"
done
check "no home folders" test -z "$(inside ls -A /root)$(inside ls -A /home)"
check "reads its credential" inside setpriv --reuid=edge-agent --regid=edge-agent --clear-groups \
    cat /run/credentials/edge-agent.service/device.key

# --- devices ---------------------------------------------------------------------------------------
edge-agent printer list
for name in lp usb line; do
    # The first opening imports python-escpos, which an emulated processor does not do in time.
    until_true 120 eval "edge-agent printer list | grep -E '$name.*ready'"
    edge-agent printer test $name </dev/null >/tmp/test.$name 2>&1
done
check "prints by /dev/usb/lp" until_true 90 eval '[ "$(stat -c %s /tmp/far.g_printer0)" -gt 100 ]'
check "prints by libusb" until_true 90 eval '[ "$(stat -c %s /tmp/far.g_printer1)" -gt 100 ]'
check "prints by a serial line" until_true 90 eval '[ "$(stat -c %s /tmp/far.ttyGS0)" -gt 100 ]'
arecord -q -D hw:Loopback,1,0 -f S16_LE -r 48000 -c 2 -d 20 /tmp/heard.wav 2>/dev/null &
recorder=$!
sleep 2
echo | edge-agent sound test >/tmp/test.sound 2>&1
wait $recorder
check "is heard" python3 -c '
import array, wave
f = wave.open("/tmp/heard.wav"); a = array.array("h", f.readframes(f.getnframes()))
raise SystemExit(max(map(abs, a)) < 1000)'
echo pull-down >"$gpio/sim_gpio0/pull"
check "a held button raises an SOS, its light says so" until_true 60 grep -q 1 "$gpio/sim_gpio2/value"
echo pull-up >"$gpio/sim_gpio0/pull"
check "scans: the adapter is discovering" until_true 120 \
    eval 'bluetoothctl show | grep -q "Discovering: yes" || busctl get-property org.bluez /org/bluez/hci0 org.bluez.Adapter1 Discovering | grep -q true'
check "advertises: bluetoothd has its beacon" until_true 60 \
    eval 'for h in hci0 hci1; do busctl get-property org.bluez /org/bluez/$h org.bluez.LEAdvertisingManager1 ActiveInstances; done | grep -q "y [1-9]"'
bluetoothctl list

# --- the clock -------------------------------------------------------------------------------------
clock() { # 0: kept, 64: not; adjtimex(2)
    python3 -c "
import ctypes; b = (ctypes.c_char * 256)(); i = ctypes.cast(b, ctypes.POINTER(ctypes.c_int))
i[0] = 0x10 | 4 | 8; l = ctypes.cast(b, ctypes.POINTER(ctypes.c_long)); l[3] = l[4] = 0; i[10] = $1
ctypes.CDLL(None).adjtimex(b)"
}
clock 0
# What the agent records then says so: another start, within the 30 s after which it asks again.
systemctl restart edge-agent
ready
check "knows a clock that is kept" until_true 120 eval 'edge-agent printer test lp </dev/null; edge-agent queue list critical --json | grep -q "\"tq\": \"ntp\""'

check "nothing made it restart so far" [ "$(show NRestarts)" = 0 ]

# --- faults ----------------------------------------------------------------------------------------
main=$(pid)
kill -STOP "$main"
check "the watchdog ends what hangs" until_true 200 eval "journalctl -u edge-agent | grep -q 'edge-agent.service: Watchdog timeout'"
check "and starts it again" until_true 60 eval '[ "$(show NRestarts)" -ge 1 ]'
ready
restarts=$(show NRestarts)
kill -KILL "$(pid)"
check "killed, it is started again" until_true 60 eval '[ "$(show NRestarts)" -gt "$restarts" ]'
ready
restarts=$(show NRestarts)
systemctl set-property --runtime edge-agent MemoryMax=12M
check "too much memory: ended and started again" until_true 90 eval '[ "$(show NRestarts)" -gt "$restarts" ]'
systemctl set-property --runtime edge-agent MemoryMax=256M
systemctl revert edge-agent >/dev/null 2>&1
systemctl restart edge-agent
ready
started=$(date +%s%N)
systemctl stop edge-agent
echo "stop took $((($(date +%s%N) - started) / 1000000)) ms"
check "a clean stop" [ "$(show Result)" = success ]
echo 'role = "nobody"' >/etc/edge-agent/config.toml
systemctl start edge-agent
sleep 8
check "a wrong configuration ends in 78" [ "$(show ExecMainStatus)" = 78 ]
check "and is not tried again" [ "$(show NRestarts)" = 0 ]

# --- a rider's receiver ----------------------------------------------------------------------------
cat >/etc/edge-agent/config.toml <<END
role = "rider"
[device]
id = "unit-trial"
site = "trial"
[uplink]
url = "mqtt://127.0.0.1:1"
[position]
driver = "serial"
[position.serial]
device = "/dev/edge/gps"
tune = false
END
stty -F /dev/ttyGS1 raw -echo
(
    while :; do
        t=$(date -u +%H%M%S.00) d=$(date -u +%d%m%y)
        for s in "GPGGA,$t,3113.8240,N,12128.4220,E,1,09,0.9,15.0,M,8.0,M,," "GPRMC,$t,A,3113.8240,N,12128.4220,E,000.1,000.0,$d,,,A"; do
            sum=0
            for ((i = 0; i < ${#s}; i++)); do printf -v c %d "'${s:i:1}"; ((sum ^= c)); done
            printf '$%s*%02X\r\n' "$s" $sum
        done
        sleep 1
    done >/dev/ttyGS1
) &
readers="$readers $!"
systemctl reset-failed edge-agent
systemctl restart edge-agent
ready
check "hears the receiver" until_true 60 eval 'edge-agent status | grep -iE "position|gps" | grep -viE "no fix|silent|none"'
edge-agent status
systemd-analyze security edge-agent --no-pager | tail -1
echo "$failures failed"
exit $((failures > 0))
