"""中文: each English sentence of the agent, with its holes, and how it is said in Chinese."""
# ruff: noqa: E501 - the linter counts a Chinese character twice

SAYINGS = {
    # --- what the system says ----------------------------------------------------------------------
    "Connection refused": "连接被拒绝",
    "Connection reset by peer": "连接被对方重置",
    "Connection timed out": "连接超时",
    "No route to host": "到对方没有路由",
    "Network is unreachable": "网络不可达",
    "Host is down": "对方主机已关机",
    "Broken pipe": "连接已断开",
    "No such file or directory": "没有这个文件或目录",
    "No such device": "没有这个设备",
    "No such device or address": "没有这个设备或地址",
    "Permission denied": "没有权限",
    "Operation not permitted": "不允许这样操作",
    "Device or resource busy": "设备被占用",
    "Input/output error": "读写出错",
    "No space left on device": "磁盘空间已满",
    "Read-only file system": "文件系统是只读的",
    "Is a directory": "这是一个目录",
    "Not a directory": "这不是目录",
    "Address already in use": "地址已被占用",
    "Too many open files": "打开的文件太多",
    "Name or service not known": "找不到这个主机名",
    "Temporary failure in name resolution": "域名解析暂时失败",
    "[Errno {number}] {what}": "{what}",
    "database is locked": "数据库被占用(database is locked)",
    "database or disk is full": "磁盘已满(database or disk is full)",
    "disk I/O error": "磁盘读写出错(disk I/O error)",
    "attempt to write a readonly database": "数据库是只读的",
    "unable to open database file": "打不开数据库文件",
    "no answer": "没有应答",
    # --- printers ----------------------------------------------------------------------------------
    "{what}. Since {time}. What waits is printed as soon as it is back.": (
        "{what}。{time} 起。恢复后自动打印等待的小票。"
    ),
    "{what}. What waits is printed as soon as it is back.": "{what}。恢复后自动打印等待的小票。",
    "printer {name}: {what}": "打印机 {name}：{what}",
    "out of paper: open the lid and put in a new roll": "缺纸：请打开上盖，装入新纸卷",
    "the cover is open: close it": "上盖未合：请合上",
    "it reports an error: switch it off, look for jammed paper, switch it on": (
        "报告故障：请关机，取出卡住的纸，再开机"
    ),
    "it is offline: press its FEED or online button": "脱机：请按 FEED 键或联机键",
    "it takes no more data: is it switched on, with paper in and the cover closed?": (
        "不再接收数据：是否已开机、有纸、上盖已合？"
    ),
    "printer {name} gives no {evidence} as it is set to: tickets are believed by {value}. Try"
    " `edge-agent printer test {name2}`": (
        "打印机 {name} 没有按设置给出 {evidence} 凭证：现按 {value} 判断是否打印。"
        "请运行 `edge-agent printer test {name2}`"
    ),
    "printer {name} takes data but does not answer any more: tickets are sent without proof; look"
    " at its paper": "打印机 {name} 收数据但不再应答：小票已发送但无法确认，请看出纸情况",
    "printer {name} takes data but does not answer any more; switch it off and on": (
        "打印机 {name} 收数据但不再应答；请关机再开机"
    ),
    "printer {name} does not answer any more; switch it off and on": (
        "打印机 {name} 不再应答；请关机再开机"
    ),
    "printer {name} does not recover; switch it off and on": (
        "打印机 {name} 无法恢复；请关机再开机"
    ),
    "printer {name} is being tried out already": "打印机 {name} 正在测试中",
    "printer {name} cannot print now: {fault}": "打印机 {name} 现在无法打印：{fault}",
    "paper_out": "缺纸",
    "cover_open": "上盖未合",
    "offline": "脱机",
    "unreachable": "连接不上",
    "stalled": "不再接收数据",
    "printer {name} stopped behind a ticket: {fault}": "打印机 {name} 打完一张小票后停下：{fault}",
    "printer {name} stopped in a ticket: {fault}": "打印机 {name} 打到一半停下：{fault}",
    "printer {name} does not come to an end": "打印机 {name} 迟迟没有打完",
    "printer {name}: {path} cannot be opened: {error}; is it plugged in, and may this user write to"
    " it?": "打印机 {name}：打不开 {path}（{error}）；是否已插好？当前用户是否有写权限？",
    "printer {name}: {path} cannot be opened: {error}": ("打印机 {name}：打不开 {path}：{error}"),
    "printer {name}: write its address as tcp://HOST:9100": (
        "打印机 {name}：地址请写成 tcp://主机:9100"
    ),
    "printer {name} {what}; is it switched on, with its network cable in, and at {host} port"
    " {port}?": "打印机 {name} {what}；是否已开机、网线已插好、地址是 {host} 端口 {port}？",
    "did not answer": "没有应答",
    "refused: {error}": "拒绝连接：{error}",
    "printer {name}: write its line as serial:///dev/ttyUSB0?baud=9600, with flow={flows} where the"
    " printer holds the line ({error})": (
        "打印机 {name}：请写成 serial:///dev/ttyUSB0?baud=9600，"
        "打印机会暂停接收时再加 flow={flows}（{error}）"
    ),
    "printer {name} hangs; unplug it and plug it in": "打印机 {name} 卡死；请拔下再插上",
    "printer {name}: {error}; write it as simulated://?paper=60&refill_s=20": (
        "打印机 {name}：{error}；请写成 simulated://?paper=60&refill_s=20"
    ),
    "printer {name} is switched off": "打印机 {name} 已关机；请开机",
    "printer {name} closed the connection": "打印机 {name} 关闭了连接",
    "printer {name} takes no more data; is it switched on, with paper in and the cover closed?": (
        "打印机 {name} 不再接收数据；是否已开机、有纸、上盖已合？"
    ),
    "printer {name} is gone: {error}; check its cable": (
        "打印机 {name} 断开了：{error}；请检查线缆"
    ),
    "printer {name} on USB is gone: {error}; check its cable": (
        "USB 打印机 {name} 断开了：{error}；请检查线缆"
    ),
    "printer {name}: none on USB at {uri}; is it plugged in?": (
        "打印机 {name}：USB 上没有 {uri}；是否已插好？"
    ),
    "printer {name}: write it as usb://04b8:0202 or usb://": (
        "打印机 {name}：请写成 usb://04b8:0202 或 usb://"
    ),
    "the device on USB is no printer that can be written to": "USB 上的这个设备不是可写的打印机",
    "printer {name} on USB cannot be opened: {problem}; may this user use it (udev rule), and does"
    " nothing else hold it?": (
        "打不开 USB 打印机 {name}：{problem}；当前用户是否有权限（udev 规则）？是否被别的程序占用？"
    ),
    "a ticket template is not used. See `config check`. {wrong}": (
        "有一个小票模板无法使用。请运行 `edge-agent config check`。{wrong}"
    ),
    "there is no printer {name}": "没有打印机 {name}",
    "there is no printer {name}; write an address as tcp://HOST": (
        "没有打印机 {name}；地址请写成 tcp://主机"
    ),
    "printer {name} prints nothing of this order": "打印机 {name} 不打印这张订单的任何内容",
    "there is no template {name}": "没有模板 {name}",
    "there is no job {id}": "没有打印任务 {id}",
    "there is no job or order {id}": "没有打印任务或订单 {id}",
    "there are {count} templates; reset one first": "已有 {count} 个模板；请先恢复其中一个",
    "say which order_id or job_id": "请说明 order_id 或 job_id",
    # --- sound -------------------------------------------------------------------------------------
    "alerts are not heard: {error}": "提示音没有响：{error}",
    "alerts may be out of date: {error}. Free some space.": (
        "提醒可能不是最新的：{error}。请清理磁盘空间。"
    ),
    "{why}. The voice that ships is used instead.": "{why}。暂用自带的语音。",
    "there is no aplay; install it: apt install alsa-utils": (
        "没有 aplay 程序；请安装：apt install alsa-utils"
    ),
    "sound device {device} is stuck; unplug and plug it, or choose another: aplay -L lists them": (
        "声卡 {device} 卡死；请拔下再插上，或换一个：aplay -L 可列出"
    ),
    "sound device {device} is in use by another program; end it, or use a dmix device": (
        "声卡 {device} 被别的程序占用；请结束该程序，或改用 dmix 设备"
    ),
    "sound device {device} may not be opened; add the agent's user to the group audio": (
        "没有权限打开声卡 {device}；请把代理程序的用户加入 audio 组"
    ),
    "there is no sound device {device}; plug it in, or choose one of: aplay -L": (
        "没有声卡 {device}；请插好，或从 aplay -L 里选一个"
    ),
    "sound device {device} does not play: {why}": "声卡 {device} 无法播放：{why}",
    "no reason given": "没有说明原因",
    "there is no sound device; plug it in": "没有声卡；请插好",
    "{path} has more than {bytes} bytes; shorten it": "{path} 超过 {bytes} 字节；请剪短",
    "{path} is not a PCM WAV file ({error}); convert it: {how}": (
        "{path} 不是 PCM WAV 文件（{error}）；请转换：{how}"
    ),
    "{path} has {bits} bits a sample; convert it: {how}": (
        "{path} 每个采样 {bits} 位；请转换：{how}"
    ),
    "{path} has {channels} channels at {rate} Hz; convert it: {how}": (
        "{path} 有 {channels} 个声道，{rate} Hz；请转换：{how}"
    ),
    "nothing was heard; see: edge-agent doctor": "没有声音；请运行：edge-agent doctor",
    "played; if nobody heard it, check volume and cable": "已播放；如果没人听见，请检查音量和线缆",
    # --- buttons and lights ------------------------------------------------------------------------
    "the button {button} waits because {error}. Free some space.": (
        "按键 {button} 暂未生效：{error}。请清理磁盘空间。"
    ),
    "there is no GPIO chip {chip} or no line of that name; look with: gpioinfo": (
        "没有 GPIO 芯片 {chip}，或没有这个名字的引脚；请用 gpioinfo 查看"
    ),
    "{chip} may not be opened; add the user to the group gpio": (
        "没有权限打开 {chip}；请把用户加入 gpio 组"
    ),
    "{chip}: {error}; is another program using the line?": (
        "{chip}：{error}；引脚是否被别的程序占用？"
    ),
    "gpiod is missing; install it: pip install 'gpiod>=2.2'": (
        "缺少 gpiod；请安装：pip install 'gpiod>=2.2'"
    ),
    "the GPIO chip went away: {error}; check its cable": "GPIO 芯片断开了：{error}；请检查线缆",
    "the panel was unplugged; plug it in": "按键板被拔掉了；请插好",
    "only a simulated panel can be pressed by a command": "只有模拟按键板才能用命令按下",
    # --- the receiver ------------------------------------------------------------------------------
    "no GPS fix: give the antenna a view of the sky and check its cable; indoors this is normal": (
        "没有 GPS 定位：请让天线看到天空并检查天线线缆；在室内属正常"
    ),
    "no GPS fix: nothing comes from the receiver; see service.positioning": (
        "没有 GPS 定位：接收机没有数据；见 service.positioning"
    ),
    "GPS fixes arrive more than 2 s late and are not used: raise the receiver's baud rate or switch"
    " its GSV sentences off": (
        "GPS 定位迟到超过 2 秒，未采用：请提高接收机波特率，或关闭其 GSV 语句"
    ),
    "gpsd at {where} has closed the connection; is it running?": (
        "{where} 上的 gpsd 关闭了连接；它在运行吗？"
    ),
    "gpsd has lost its receiver {path}; plug it in again": ("gpsd 失去了接收机 {path}；请重新插好"),
    "no gpsd at {where} ({error}); start it with: systemctl start gpsd": (
        "{where} 上没有 gpsd（{error}）；请运行：systemctl start gpsd"
    ),
    "gpsd at {where} has no receiver; plug it in, or name it in /etc/default/gpsd (DEVICES)": (
        "{where} 上的 gpsd 没有接收机；请插好，或写进 /etc/default/gpsd 的 DEVICES"
    ),
    "gpsd at {where} has had no new fix from its receiver for {s} s; check the receiver's cable and"
    " power": "{where} 上的 gpsd 已 {s} 秒没有收到新定位；请检查接收机的线缆和供电",
    "gpsd at {where} has no news from its receiver; check the receiver's cable and DEVICES in"
    " /etc/default/gpsd": (
        "{where} 上的 gpsd 收不到接收机数据；请检查线缆和 /etc/default/gpsd 里的 DEVICES"
    ),
    "the connection to gpsd broke off: {error}": "与 gpsd 的连接断开：{error}",
    "the GPS receiver at {device} has sent nothing for {s} s; check its power and its cable": (
        "GPS 接收机 {device} 已 {s} 秒没有数据；请检查供电和线缆"
    ),
    "the GPS receiver at {device} has sent nothing readable for {s} s; check its cable and the baud"
    " rate": "GPS 接收机 {device} 已 {s} 秒没有可读的数据；请检查线缆和波特率",
    "the GPS receiver at {device} talks, but has said no new time or position for {s} s; switch its"
    " power off and on": ("GPS 接收机 {device} 有数据，但 {s} 秒没有新的时间或位置；请断电再通电"),
    "{count} devices fit {device} ({names}); name one of them in position.serial.device": (
        "有 {count} 个设备符合 {device}（{names}）；请在 position.serial.device 里写明用哪一个"
    ),
    "no GPS receiver fits {device}; is it plugged in?": (
        "没有符合 {device} 的 GPS 接收机；是否已插好？"
    ),
    "{device} does not answer the kernel; unplug it and plug it in again": (
        "{device} 对系统没有应答；请拔下再插上"
    ),
    "the GPS receiver at {device} cannot be used ({error}); is it plugged in, is"
    " position.serial.device right, and does nothing else (gpsd?) hold it?": (
        "GPS 接收机 {device} 用不了（{error}）；是否已插好？position.serial.device 是否正确？"
        "是否被别的程序（gpsd？）占用？"
    ),
    "{device} sends nothing at {rates} baud; check power and cable": (
        "{device} 在 {rates} 波特下没有数据；请检查供电和线缆"
    ),
    "{device} sends {bytes} bytes but no NMEA at {rates} baud; switch the receiver to NMEA or set"
    " position.serial.baud": (
        "{device} 发来 {bytes} 字节，但在 {rates} 波特下没有 NMEA；"
        "请把接收机切到 NMEA，或设置 position.serial.baud"
    ),
    "the simulated receiver was unplugged; plug it in again": "模拟接收机被拔掉了；请重新插好",
    "the simulated receiver has been silent for {s} s": "模拟接收机已 {s} 秒没有数据",
    "the running agent cannot show its receiver: {error}": (
        "正在运行的程序无法显示接收机：{error}"
    ),
    "this device has no receiver": "本机没有接收机",
    "this device has no [position]": "本机没有 [position] 一节",
    "there is no position yet, or it may not be told exactly": "还没有位置，或不允许报告准确位置",
    # --- recordings, rides, tracks -----------------------------------------------------------------
    "the track {path} has no dated fix in it": "轨迹 {path} 里没有带日期的定位",
    "the track {path} cannot be read: {error}": "读不了轨迹 {path}：{error}",
    "the ride {path} needs two points or more, each later than the last": (
        "行程 {path} 至少要有两个点，且时间递增"
    ),
    "the ride {path} cannot be read: {error}": "读不了行程 {path}：{error}",
    "the ride {path} must be a CSV of t,lat,lon: {error}": (
        "行程 {path} 必须是 t,lat,lon 的 CSV：{error}"
    ),
    "{path} is no track: its first line must name t,lat,lon": (
        "{path} 不是轨迹：第一行必须写明 t,lat,lon"
    ),
    "recording {path} cannot be read: {error}": "读不了录音文件 {path}：{error}",
    "{path} is no recording of adverts: {error}": "{path} 不是信标广播的记录：{error}",
    "{path} cannot be written: {error}": "写不了 {path}：{error}",
    "{path} cannot be read: {error}": "读不了 {path}：{error}",
    "{path} cannot be made: {error}": "无法创建 {path}：{error}",
    # --- rider -------------------------------------------------------------------------------------
    "no position is taken, because the rider has not agreed to version {notice} of the text. Show"
    " it; then: edge-agent consent give --person ID": (
        "未采集位置，因为骑手尚未同意第 {notice} 版告知书。请出示后运行："
        "edge-agent consent give --person 编号"
    ),
    "version {notice} of the text is in force, not {other}; show it": (
        "现行的是第 {notice} 版告知书，不是 {other}；请出示现行版"
    ),
    "the duty makes a rider idle: send duty.set": "骑手空闲与否由值勤状态决定：请用 duty.set",
    "there is no such profile; there are {names}": "没有这个上报方案；可选：{names}",
    "this device locates nobody: it has no [position]": "本机不定位任何人：没有 [position] 一节",
    # --- beacons -----------------------------------------------------------------------------------
    "the Bluetooth scanner hears nothing, so nobody can be said to have come or gone: waking the"
    " adapter up ({rung}) was not possible: {error}. If this stays in a busy street, `systemctl"
    " restart bluetooth` or pull the adapter out": (
        "蓝牙扫描听不到任何信号，无法判断谁来谁走：唤醒适配器（{rung}）没有成功：{error}。"
        "若在闹市仍如此，请运行 `systemctl restart bluetooth` 或拔插适配器"
    ),
    "the Bluetooth scanner hears nothing, so nobody can be said to have come or gone: {done}. If"
    " this stays in a busy street, `systemctl restart bluetooth` or pull the adapter out": (
        "蓝牙扫描听不到任何信号，无法判断谁来谁走：{done}。"
        "若在闹市仍如此，请运行 `systemctl restart bluetooth` 或拔插适配器"
    ),
    "nobody sends here, or it hangs; it is woken up now and then": (
        "这里没有信标，或扫描卡住了；会不时自动唤醒"
    ),
    "a beacon of {places} is heard far from there: its identity is used twice or copied; give it"
    " another, or name its address in places.toml": (
        "{places} 的信标在很远的地方被听到：其标识被重复使用或被复制；"
        "请换一个标识，或在 places.toml 里写明它的地址"
    ),
    "{join} was heard at two distant places: it was copied or is used twice, and counts for nothing"
    " now; give each beacon an identity of its own": (
        "{join} 在相距很远的两处被听到：被复制或重复使用，现已不算数；请给每个信标单独的标识"
    ),
    "nobody has set this device's clock yet, so its own beacon is silent; it needs a network with"
    " NTP, or GPS": "本机时钟尚未校准，因此自带信标暂不发射；需要能校时的网络（NTP）或 GPS",
    "the beacon's key {path} is damaged; delete it: a new one is made, and the back end has to ask"
    " for it (command beacon.key)": (
        "信标密钥 {path} 已损坏；请删除，会自动生成新的，后台需重新获取（命令 beacon.key）"
    ),
    "the beacon's key {path}: {error}": "信标密钥 {path}：{error}",
    "this device has no [beacon]": "本机没有 [beacon] 一节",
    "bluetoothd refused to {doing}: {error}; `systemctl restart bluetooth`": (
        "bluetoothd 拒绝{doing}：{error}；请运行 `systemctl restart bluetooth`"
    ),
    "no Bluetooth to {doing}: {what}; see `rfkill list` and `bluetoothctl list`": (
        "没有蓝牙可以{doing}：{what}；请看 `rfkill list` 和 `bluetoothctl list`"
    ),
    "there is no adapter": "没有蓝牙适配器",
    "{name} is missing": "缺少 {name}",
    "send a beacon": "发射信标",
    "scan": "扫描",
    "tell of its adapters": "列出适配器",
    "switch the adapter off and on": "重启适配器",
    "reset the adapter": "复位适配器",
    "bluetoothd is not running; `systemctl start bluetooth`": (
        "bluetoothd 没有运行；请运行 `systemctl start bluetooth`"
    ),
    "D-Bus does not let us {doing}: {error}; be in the group bluetooth": (
        "D-Bus 不允许{doing}：{error}；请把用户加入 bluetooth 组"
    ),
    "the system D-Bus refused to watch bluetoothd: {reply}": (
        "系统 D-Bus 拒绝监视 bluetoothd：{reply}"
    ),
    "bluetoothd did not answer in {s} s; `systemctl restart bluetooth`": (
        "bluetoothd 在 {s} 秒内没有应答；请运行 `systemctl restart bluetooth`"
    ),
    "the system D-Bus cannot be reached ({error}); is dbus running?": (
        "连不上系统 D-Bus（{error}）；dbus 在运行吗？"
    ),
    "{error}; plug one in, or see `rfkill list` and `bluetoothctl list`": (
        "{error}；请插上适配器，或看 `rfkill list` 和 `bluetoothctl list`"
    ),
    "{error}; `bluetoothctl list` shows the adapters": "{error}；`bluetoothctl list` 可列出适配器",
    "Bluetooth adapter {name} is switched off; `rfkill unblock bluetooth`, then `bluetoothctl power"
    " on`": (
        "蓝牙适配器 {name} 已关闭；请运行 `rfkill unblock bluetooth`，再运行 `bluetoothctl power on`"
    ),
    "Bluetooth adapter {name} was pulled out; plug it in again": (
        "蓝牙适配器 {name} 被拔掉了；请重新插好"
    ),
    "the Bluetooth adapter is gone; plug it in again": "蓝牙适配器不见了；请重新插好",
    "{adapter} is not on a USB: it cannot be reset, only switched off and on": (
        "{adapter} 不在 USB 上：不能复位，只能关闭再打开"
    ),
    "{device} was not reset in {s} s; pull the adapter out": (
        "{device} 在 {s} 秒内没有复位；请拔下适配器"
    ),
    "{device} may not be written: the udev rules of the package are missing": (
        "没有权限写 {device}：缺少安装包里的 udev 规则"
    ),
    "{device} cannot be reset: {error}; pull it out": "{device} 无法复位：{error}；请拔下来",
    "somebody is connected to it ({name})": "有设备正连着它（{name}）",
    "too little was heard of a beacon that keeps its identity; see `edge-agent beacon scan`": (
        "听到的固定标识信标太少；请看 `edge-agent beacon scan`"
    ),
    "nobody answers; --yes asks nothing": "没有人回答；加 --yes 就不再提问",
    # --- what is around ----------------------------------------------------------------------------
    "mmcli answers what is not understood: {error}": "看不懂 mmcli 的回答：{error}",
    "{tool} says: {words}": "{tool} 报告：{words}",
    "{tool} cannot be run ({error}); `apt install {package}`": (
        "无法运行 {tool}（{error}）；请安装：`apt install {package}`"
    ),
    "{tool} did not answer in {s} s": "{tool} 在 {s} 秒内没有应答",
    # --- the store ---------------------------------------------------------------------------------
    "{path} cannot be written ({error}): everything is kept in memory only and would be lost at a"
    " power cut. {remedy}; do not switch off.": (
        "写不了 {path}（{error}）：数据暂存在内存里，断电会丢失。{remedy}；请勿关机。"
    ),
    "Another program holds it: end it (fuser -v {path} names it)": (
        "被别的程序占用：请结束它（fuser -v {path} 可查是谁）"
    ),
    "Free some space or change the card": "请清理磁盘空间或更换存储卡",
    "{error}. Free some space or change the card.": "{error}。请清理磁盘空间或更换存储卡。",
    "the database could not be used ({why}); it was set aside as {aside} and a new one begun."
    " Nothing was deleted: keep the file and call support.": (
        "数据库无法使用（{why}）；已改名为 {aside} 保存，并新建了一个。"
        "没有删除任何内容：请保留该文件并联系技术支持。"
    ),
    "it belongs to another program": "它属于别的程序",
    "{path} was written by a newer edge-agent (schema {found}; this one knows {known}). Nothing was"
    " changed. Install that version again; to go back for good, let it send what waits, then move"
    " the file aside": (
        "{path} 由更新版本的 edge-agent 写入（格式 {found}，本版本只认到 {known}）。未作任何改动。"
        "请重新安装那个版本；若确要退回旧版，先让新版发完等待的内容，再移走该文件"
    ),
    "{name} events waited for more than {hours} hours and were given up; orders are kept. Restore"
    " the network.": "{name} 类事件等待超过 {hours} 小时，已放弃；订单都保留着。请恢复网络。",
    "{why}; the oldest {stream} events are given up, orders are kept. {remedy}": (
        "{why}；最早的 {stream} 类事件被放弃，订单都保留着。{remedy}"
    ),
    "{why}; positions are thinned to a line within {m} m, orders are kept. {remedy}": (
        "{why}；位置记录已精简（误差 {m} 米内），订单都保留着。{remedy}"
    ),
    "{why}, orders and prints alone. {remedy}": "仅订单和打印记录就{why}。{remedy}",
    "only {mb} MB are free on the disk": "磁盘只剩 {mb} MB",
    "more than {mb} MB wait to be sent": "待发送的内容超过 {mb} MB",
    "Free some space on it.": "请清理磁盘空间。",
    "Restore the network.": "请恢复网络。",
    "orders wait because {error}. Free some space.": "订单暂时收不进来：{error}。请清理磁盘空间。",
    "{count} messages could not be handled and were set aside; the last one: {reason}. See:"
    " edge-agent queue list poison": (
        "有 {count} 条消息无法处理，已搁置；最后一条：{reason}。请看：edge-agent queue list poison"
    ),
    "no message {id} is set aside": "没有搁置的消息 {id}",
    "{path} cannot be written: {error}. Free some space or change the card.": (
        "写不了 {path}：{error}。请清理磁盘空间或更换存储卡。"
    ),
    "{path} cannot be opened: {error}": "打不开 {path}：{error}",
    "the store is closed": "数据库已关闭",
    # --- the link ----------------------------------------------------------------------------------
    "no connection to the back end: {reason}. Everything is kept and will be sent.": (
        "与后台没有连接：{reason}。内容都已保存，联网后自动发送。"
    ),
    "connections end soon after they are made, again and again: is there another device with the id"
    " {device}? Each needs its own device.id": (
        "连接一建立就断，反复如此：是不是有另一台设备也叫 {device}？每台设备要有自己的 device.id"
    ),
    "events wait here for more than 10 minutes: {why}": "有内容等了 10 分钟以上还没发走：{why}",
    "there is no connection; see the condition uplink": "没有连接；见 uplink 一项",
    "connected, but nobody confirms them, or the link is too slow: is the back end's consumer"
    " running?": "已连接，但没有收到确认，或线路太慢：后台的接收程序在运行吗？",
    "the broker takes no {stream} events: {what}": "消息服务器不收 {stream} 类事件：{what}",
    "nobody subscribes to it": "没有人订阅",
    "reason {code}": "原因码 {code}",
    "the outbox begins a new epoch": "发件箱换了新的编号段",
    "{url}: {why}": "{url}：{why}",
    "{url} refused: {why}": "{url} 拒绝连接：{why}",
    "{host} is not found ({why})": "找不到 {host}（{why}）",
    "no address for {host}": "{host} 没有地址",
    "{files} cannot be used: {error}": "用不了 {files}：{error}",
    "the connection was closed at once": "连接一建立就被关闭",
    "going back to {url}, which answers again": "切回 {url}，它又有应答了",
    "subscription not allowed ({topic})": "不允许订阅（{topic}）：请看消息服务器的访问列表",
    "connection lost ({why})": "连接断开（{why}）",
    "it hung up without a word": "对方直接挂断",
    "closed": "已关闭",
    "nothing answers": "没有应答",
    "something answers that does not speak MQTT: a captive portal (a login page of this network),"
    " or another port than the broker's": (
        "对方不是 MQTT 服务：可能是上网认证页（需要登录的网络），或端口不对"
    ),
    "something answers that does not speak MQTT: a captive portal (a login page of this network),"
    " or another port than the broker's ({error})": (
        "对方不是 MQTT 服务：可能是上网认证页（需要登录的网络），或端口不对（{error}）"
    ),
    "something takes the connection and says nothing of MQTT within {s} s: a captive portal (a"
    " login page of this network), or a broker that hangs": (
        "能连上，但 {s} 秒内没有 MQTT 应答：可能是上网认证页（需要登录的网络），或消息服务器卡死"
    ),
    "the line was dead: nothing came back in time": "线路已断：没有按时收到应答",
    "{text} ({said})": "{text}（{said}）",
    "it cannot read what we sent (malformed packet)": "对方读不懂我们发的内容（malformed packet）",
    "it does not speak MQTT 5: the broker must be a newer one, or has it switched off": (
        "对方不支持 MQTT 5：请升级消息服务器，或打开 MQTT 5"
    ),
    "it does not take this device.id as client id": "对方不接受用这个 device.id 作客户端标识",
    "user name or password is wrong: see uplink.username and uplink.password_file": (
        "用户名或密码不对：请检查 uplink.username 和 uplink.password_file"
    ),
    "this device is not allowed (Not authorized): see the broker's access list": (
        "不允许本机连接（Not authorized）：请看消息服务器的访问列表"
    ),
    "this device is banned there": "本机被对方封禁",
    "it is not available now": "对方暂时不可用",
    "it is busy": "对方忙",
    "it is shutting down": "对方正在关机",
    "it heard nothing of us for too long": "对方太久没有收到我们的消息",
    "another device uses this id (session taken over)": "有另一台设备在用这个编号（会话被接管）",
    "a message was too large for it": "有一条消息太大",
    "a quota of it is exceeded": "超出对方的配额",
    "somebody ended the connection there (administrative action)": "对方管理员断开了连接",
    "it sends us to another server": "对方让我们去另一台服务器",
    "it has moved to another server": "对方已搬到另一台服务器",
    "too many devices connect at once": "同时连接的设备太多",
    "its certificate cannot be checked before this device knows the time (its clock says {clock}"
    " and is not set): can it reach a time server (NTP)?": (
        "本机还不知道时间，无法检查对方证书（时钟显示 {clock}，尚未校准）：能连上校时服务器（NTP）吗？"
    ),
    "its certificate is not valid yet; this device's clock says {clock}": (
        "对方证书尚未生效；本机时钟显示 {clock}"
    ),
    "its certificate has expired; this device's clock says {clock}. Renew it there": (
        "对方证书已过期；本机时钟显示 {clock}。请在对方更新证书"
    ),
    "its certificate is for another name ({error}): a captive portal, or not the name of the"
    " broker": "对方证书上是别的名字（{error}）：可能是上网认证页，或服务器名写错了",
    "its certificate is not from an authority that we trust ({error}): a captive portal, or"
    " uplink.ca is not the broker's authority": (
        "对方证书的签发机构不受信任（{error}）：可能是上网认证页，或 uplink.ca 不是服务器的签发机构"
    ),
    "its certificate is not accepted: {error}": "对方证书不被接受：{error}",
    "it does not accept this device's certificate, uplink.cert ({reason})": (
        "对方不接受本机证书 uplink.cert（{reason}）"
    ),
    "something answers that does not speak TLS ({reason}): a captive portal, or no TLS": (
        "对方没有使用 TLS（{reason}）：可能是上网认证页，或没有开 TLS"
    ),
    "TLS fails: {reason}": "TLS 失败：{reason}",
    "the password in {file} cannot be read: {error}": "读不了 {file} 里的密码：{error}",
    # --- the page ----------------------------------------------------------------------------------
    "{count} staff pages are open on this device; close one": (
        "本机已打开 {count} 个店员页面；请关掉一个"
    ),
    "the staff page cannot use {cert} with {key}: {error}; check page.cert and page.key": (
        "店员页面用不了 {cert} 和 {key}：{error}；请检查 page.cert 和 page.key"
    ),
    "the staff page cannot listen on {listen}: {advice} ({setting})": (
        "店员页面无法监听 {listen}：{advice}（{setting}）"
    ),
    "another program has this port; `ss -ltnp` names it, or change page.listen": (
        "端口被别的程序占用；`ss -ltnp` 可查是谁，或修改 page.listen"
    ),
    "this device has no such address; set page.listen to 127.0.0.1:8080": (
        "本机没有这个地址；请把 page.listen 设为 127.0.0.1:8080"
    ),
    "ports below 1024 are reserved; choose a higher one in page.listen": (
        "1024 以下的端口是保留的；请在 page.listen 里选大一点的"
    ),
    "{error}; check it": "{error}；请检查",
    "no PIN is set; run: edge-agent page pin {role}": (
        "尚未设置 PIN 码；请运行：edge-agent page pin {role}"
    ),
    "this is not the PIN": "PIN 码不对",
    "a request has at most {bytes} bytes of headers": "请求头最多 {bytes} 字节",
    "this is not a request": "这不是一个请求",
    "open this page as one of: {names}": "请用以下地址之一打开本页：{names}",
    "this page answers no proxies; for other devices set page.lan": (
        "本页不接受代理转发；要给其他设备用，请设置 page.lan"
    ),
    "a request body has at most {bytes} bytes": "请求内容最多 {bytes} 字节",
    "this comes from another site than the staff page": "这个请求来自别的网站",
    "commands are sent as application/json": "命令须以 application/json 发送",
    "a PIN has {least} to {most} digits": "PIN 码应为 {least} 到 {most} 位数字",
    "this PIN is among the first that anybody tries; take another": (
        "这个 PIN 码太容易猜到；请换一个"
    ),
    "this needs the PIN of {role}": "需要 {role} 的 PIN 码",
    "the page is older than the agent's last start; load it again": (
        "页面比程序上次启动还旧；请刷新页面"
    ),
    "too many connections at once": "同时连接太多",
    "too many wrong PINs; try again in {s} s": "PIN 码错误次数太多；请 {s} 秒后再试",
    "these were two different PINs; nothing is changed": "两次输入的 PIN 码不同；没有改动",
    "the PIN of {role} is set; who was in by the old one is out": (
        "{role} 的 PIN 码已设置；用旧码登录的人已退出"
    ),
    "{name} must be a number": "{name} 必须是数字",
    # --- orders, stock, commands -------------------------------------------------------------------
    "the order's id is not the one of its topic": "订单编号与主题里的不一致",
    "there is no order {id} here": "这里没有订单 {id}",
    "the order is {stage}; it cannot be {action}": "订单是“{stage}”状态，不能改为“{action}”",
    "the order is {stage}; nobody can hurry it here": "订单是“{stage}”状态，不能再催",
    "received": "新订单",
    "accepted": "制作中",
    "ready": "已出餐",
    "picked_up": "已取餐",
    "rejected": "已拒单",
    "cancelled": "已取消",
    "{count} goods are known here already": "这里已记录 {count} 种商品，不能再加",
    "its answer is not for a page": "这个命令的结果不能给页面看",
    "there is no command {name} here": "这里没有命令 {name}",
    "it expired {s} s ago": "它在 {s} 秒前已过期",
    "its answer only goes to a response topic": "它的结果只能发到应答主题",
    "the topic is not cmd/{name}/{id}": "主题不是 cmd/{name}/{id}",
    "it does not make an order: {error}": "这不能成为一张订单：{error}",
    "{value} is no quantity": "{value} 不是数量",
    "it says more than fits on a ticket": "内容太多，一张小票放不下",
    "it is nested deeper than {number} levels": "嵌套超过 {number} 层",
    "{bytes} bytes; at most {most} are read": "有 {bytes} 字节；最多读 {most} 字节",
    "not a JSON document: {error}": "不是 JSON 文档：{error}",
    "batch unpacks to more than {bytes} bytes": "批次解压后超过 {bytes} 字节",
    "batch cannot be unpacked: {error}": "批次无法解压：{error}",
    # --- the running agent and its parts -----------------------------------------------------------
    "another agent runs with {path}; stop it first: systemctl stop edge-agent": (
        "另一个程序正在使用 {path}；请先停止它：systemctl stop edge-agent"
    ),
    "service {name} hangs": "部件 {name} 卡死；系统会自动重启程序",
    "no agent answers at {path} ({error}); is it running with this configuration?": (
        "{path} 上没有程序应答（{error}）；edge-agent 在运行吗？用的是这份配置吗？"
    ),
    "no agent answers at {path} ({error})": "{path} 上没有程序应答（{error}）",
    "the agent at {path} went away": "{path} 上的程序中途退出了",
    "the agent at {path} went away ({error})": "{path} 上的程序中途退出了（{error}）",
    "failed": "没有成功",
    "there is no database at {path}; has the agent run?": "{path} 没有数据库；程序运行过吗？",
    "{path} is of another version of the agent: {error}": "{path} 属于另一个版本的程序：{error}",
    "{path} cannot be read ({error}); run this as {user}": "读不了 {path}（{error}）；请以{user}运行",
    "its owner ({owner})": "其所有者（{owner}）",
    "the agent's user, or as root": "程序的用户或 root",
    "{path} is damaged or no database of the agent: {error}": (
        "{path} 已损坏，或不是本程序的数据库：{error}"
    ),
    "{path} is the agent's own file; choose another name": "{path} 是程序自己的文件；请换个名字",
    # --- doctor ------------------------------------------------------------------------------------
    "good, for a {role} {device}": "正确，{role} 设备 {device}",
    "{mb} MB free ({share}) in {folder}": "{folder} 剩余 {mb} MB（{share}）",
    "{mb} MB free ({share}) in {folder} → free space": (
        "{folder} 剩余 {mb} MB（{share}） → 请清理磁盘空间"
    ),
    "{folder} does not exist → create it for the agent's user": (
        "{folder} 不存在 → 请为程序的用户创建"
    ),
    "set by NTP": "已由 NTP 校准",
    "set by GPS": "已由 GPS 校准",
    "from the battery clock, not synchronised → check that NTP can reach its servers": (
        "来自电池时钟，尚未同步 → 请检查能否连上 NTP 服务器"
    ),
    "not set since the start; events are dated later → check the network or GPS": (
        "开机后尚未校准；事件日期稍后补上 → 请检查网络或 GPS"
    ),
    "{url} cannot be used: {why} → check cable, Wi-Fi and address": (
        "用不了 {url}：{why} → 请检查网线、Wi-Fi 和地址"
    ),
    "{error} → systemctl status edge-agent": "{error} → 请运行 systemctl status edge-agent",
    "runs, version {version}": "正在运行，版本 {version}",
    "connected": "已连接",
    "not connected; everything is kept": "没有连接；内容都已保存",
    "{what} → {advice}": "{what} → {advice}",
    "enough voltage since the start": "开机以来供电电压正常",
    "the supply gives too little voltage → use the official power supply, a short cable": (
        "供电电压不足 → 请用官方电源和短线"
    ),
    "the voltage was too low since the start, the card may suffer → use the official power supply,"
    " and power printers and hubs on their own": (
        "开机以来曾电压不足，可能损坏存储卡 → 请用官方电源，打印机和集线器单独供电"
    ),
    "{c} °C": "温度 {c} °C",
    "{c} °C, so it slows down → give it air, take it off the oven": (
        "{c} °C，过热降速 → 请保持通风，远离炉灶"
    ),
    "{folder} can only be read → change the card": "{folder} 只能读不能写 → 请更换存储卡",
    "{folder} is there": "{folder} 存在",
    "{path} cannot be read: {error} → check the configuration": "读不了 {path}：{error} → 请检查配置",
    "{path} can be read by every user → chmod o-rwx {path2}": (
        "{path} 所有用户都能读 → chmod o-rwx {path2}"
    ),
    "{path} cannot be read by this user → chgrp edge-agent {path2}; chmod 640 {path3}": (
        "当前用户读不了 {path} → chgrp edge-agent {path2}; chmod 640 {path3}"
    ),
    "{path} is for the agent alone": "{path} 只有程序能读",
    "there is none yet; the agent makes it": "还没有；程序运行时会创建",
    "{path} cannot be checked ({error}) → run this as root or as the agent's user": (
        "无法检查 {path}（{error}） → 请以 root 或程序的用户运行"
    ),
    "whole, {mb} MB": "完好，{mb} MB",
    "{path} is damaged ({verdict}) → stop the agent, keep a copy of the file, start the agent: it"
    " sets the file aside and begins a new one": (
        "{path} 已损坏（{verdict}） → 请停止程序，备份该文件，再启动：程序会把它移开并新建一个"
    ),
    "waiting on the disk: {what}": "磁盘上等待发送：{what}",
    "{count} messages were set aside → edge-agent queue retry, and tell support": (
        "有 {count} 条消息被搁置 → edge-agent queue retry，并告知技术支持"
    ),
    "{path} is left over, no agent listens there → delete it, start the agent": (
        "{path} 是残留文件，没有程序在监听 → 请删除它并启动程序"
    ),
    "{path} may not be used by this user → adduser $USER edge-agent, log in again": (
        "当前用户不能使用 {path} → adduser $USER edge-agent，再重新登录"
    ),
    "{path} does not answer: {error} → systemctl restart edge-agent": (
        "{path} 没有应答：{error} → systemctl restart edge-agent"
    ),
    "an agent listens at {path}": "程序正在 {path} 监听",
    "{name} hears its access point with {dbm} dBm": "{name} 的 Wi-Fi 信号 {dbm} dBm",
    "{name} hears its access point with {dbm} dBm → move it closer, or use a cable": (
        "{name} 的 Wi-Fi 信号只有 {dbm} dBm → 请靠近路由器，或改用网线"
    ),
    "{url} answers within {ms} ms": "{url} 有应答，用时 {ms} 毫秒",
    "{file} is no certificate that can be read: {error} → put the right file there": (
        "{file} 不是可读的证书：{error} → 请放入正确的文件"
    ),
    "{file} expired {days} days ago → renew it": "{file} 已过期 {days} 天 → 请更新",
    "{file} expires in {days} days → renew it": "{file} 还有 {days} 天到期 → 请更新",
    "{file} is good for {days} days": "{file} 还有 {days} 天有效",
    "{user_name} is in the group {group} ({what})": "{user_name} 已在 {group} 组（{what}）",
    "{user_name} is not in the group {group} ({what}) → adduser {user2} {group2}, then systemctl"
    " restart edge-agent": (
        "{user_name} 不在 {group} 组（{what}） → adduser {user2} {group2}，再 systemctl restart"
        " edge-agent"
    ),
    "loudspeaker": "喇叭",
    "buttons and lights": "按键和指示灯",
    "printers on USB": "USB 打印机",
    "serial lines": "串口",
    "beacons": "蓝牙信标",
    "printer {name}: there is no {path} → plug it in, switch it on": (
        "打印机 {name}：没有 {path} → 请插好并开机"
    ),
    "printer {name}: {path} may not be written → see the check groups": (
        "打印机 {name}：没有权限写 {path} → 见 groups 一项"
    ),
    "printer {name}: {path} is there": "打印机 {name}：{path} 存在",
    "printer {name} does not answer at {host} port {port} ({error}) → switch it on, check its"
    " network cable": (
        "打印机 {name} 在 {host} 端口 {port} 没有应答（{error}） → 请开机，检查网线"
    ),
    "printer {name} answers at {host} port {port}": "打印机 {name} 在 {host} 端口 {port} 有应答",
    "for Chinese and for rare characters": "中文和生僻字字体齐全",
    "characters that a printer lacks would be boxes on paper → sudo apt install {packages}": (
        "打印机缺的字会打成方框 → sudo apt install {packages}"
    ),
    "there is no aplay → sudo apt install alsa-utils": "没有 aplay → sudo apt install alsa-utils",
    "{count} sound cards → edge-agent sound test asks who hears it": (
        "有 {count} 个声卡 → 用 edge-agent sound test 试听"
    ),
    "there is no sound card → plug one in; aplay -l lists them": (
        "没有声卡 → 请插上；aplay -l 可列出"
    ),
    "no gpsd at {where} ({error}) → systemctl start gpsd": (
        "{where} 上没有 gpsd（{error}） → systemctl start gpsd"
    ),
    "gpsd answers at {where}": "{where} 上的 gpsd 有应答",
    "{path} is there": "{path} 存在",
    "there is no {path} → plug the receiver in; ls /dev/serial/by-id": (
        "没有 {path} → 请插好接收机；ls /dev/serial/by-id 可列出"
    ),
    "there is no Bluetooth adapter → plug one in; on a Pi see dtoverlay=disable-bt": (
        "没有蓝牙适配器 → 请插上；树莓派请看 dtoverlay=disable-bt"
    ),
    "Bluetooth is switched off → rfkill unblock bluetooth": "蓝牙已关闭 → rfkill unblock bluetooth",
    "adapter {name}": "适配器 {name}",
    "there is no {chip} → gpioinfo lists those there are": "没有 {chip} → gpioinfo 可列出已有的",
    "printer {name} holds {count} tickets for a person's word → edge-agent printer resume {name2}": (
        "打印机 {name} 有 {count} 张小票等人决定 → edge-agent printer resume {name2}"
    ),
    "there is no check {name}; there are {names}": "没有检查项 {name}；可选：{names}",
    " (since {time} UTC)": "（{time} UTC 起）",
    "all is well": "一切正常",
    "some of it can be set right here: edge-agent doctor --fix": (
        "其中有些可以在这里修好：edge-agent doctor --fix"
    ),
    "not done: {why}": "没有做成：{why}",
    "done": "好了",
    "make the folder {path} for the agent alone": "创建只有程序能用的目录 {path}",
    "let only the agent's user and group read {path}": "让 {path} 只有程序的用户和组能读",
    "delete {path}, which nobody listens at": "删除没有程序监听的 {path}",
    "let the agent handle the messages again that were set aside": "让程序重新处理搁置的消息",
    "{handled} handled, {again} set aside again": "处理了 {handled} 条，{again} 条再次搁置",
    "a person must decide: edge-agent printer resume {name}": (
        "须由人决定：edge-agent printer resume {name}"
    ),
    "tickets of {name}: print (a)ll, (l)atest, (n)one?": (
        "{name} 的小票：全部打印 (a)，只打最新 (l)，都不打 (n)？"
    ),
    "the configuration has problems:": "配置有问题：",
    # --- bundle ---------------------------------------------------------------------------------
    "{path}: {size} KB, without secrets; send it to support": (
        "{path}：{size} KB，不含密码等隐私；请发给技术支持"
    ),
    # --- setup ----------------------------------------------------------------------------------
    "there is no terminal to ask at: use --answers F.toml or --yes": (
        "没有可以提问的终端：请用 --answers 文件.toml 或 --yes"
    ),
    "--printer {text}: write NAME=URI, as kitchen=tcp://192.0.2.9": (
        "--printer {text}：请写成 名称=地址，如 kitchen=tcp://192.0.2.9"
    ),
    "{name}: cannot be read: {error}": "{name}：读不了：{error}",
    "{name}: is not TOML: {error_text}": "{name}：不是 TOML 文件：{error_text}",
    "{name}: is not UTF-8 text": "{name}：不是 UTF-8 文本",
    "{name}: there is no answer {key}": "{name}：没有这个答案项 {key}",
    "shop": "shop（店铺）",
    "rider": "rider（骑手）",
    "answer with one of: {choices}": "请回答其中之一：{choices}",
    " [Y/n]": " [Y/n]（直接回车=是）",
    " [y/N]": " [y/N]（直接回车=否）",
    "answer with y or n": "请回答 y（是）或 n（否）",
    "nothing is written; `edge-agent setup` goes on where you stopped": (
        "没有写入任何内容；下次运行 `edge-agent setup` 从这里继续"
    ),
    "nothing is written": "没有写入任何内容",
    "going on where you stopped: Enter takes what you answered then": (
        "接着上次继续：直接回车就用上次的回答"
    ),
    "{folder} may not be written by this user; run this with sudo": (
        "当前用户没有权限写 {folder}；请用 sudo 运行"
    ),
    "{path} is there; --yes replaces it and keeps a copy": (
        "{path} 已存在；加 --yes 才会替换（并保留旧文件）"
    ),
    "{path} is there. A new one replaces it; the old one is kept beside it.": (
        "{path} 已存在。新配置会替换它，旧文件保留在旁边。"
    ),
    "go on": "继续",
    "what is this device": "这台设备是",
    "its id, one for each device": "设备编号（每台不同）",
    "use letters, digits, - and _, 64 at most, no dot or space": (
        "只能用字母、数字、- 和 _，最多 64 个，不能有点或空格"
    ),
    "shop or city it belongs to (may be empty)": "所属店铺或城市（可留空）",
    "the broker": "消息服务器地址",
    "file of its authority, PEM (empty: the system's)": "服务器签发机构的 PEM 文件（留空：用系统的）",
    "{url} answers": "{url} 有应答",
    "{url} does not answer: {why}": "{url} 没有应答：{why}",
    "use it all the same": "仍然使用它",
    "write mqtts://HOST or mqtt://HOST:PORT": "请写成 mqtts://主机 或 mqtt://主机:端口",
    "there is no file {path}": "没有文件 {path}",
    "printer {n}: number of the list, or its address": "第 {n} 台打印机：列表里的序号，或地址",
    " (empty: no more)": "（留空：没有了）",
    "its name": "它的名称",
    "take the printers that you tried then: {names}": "沿用上次试过的打印机：{names}",
    "looking for printers ...": "正在查找打印机……",
    "none was found; one on the network is written as tcp://192.0.2.9": (
        "没有找到；网络打印机请写成 tcp://192.0.2.9"
    ),
    "a number of the list, or tcp://HOST, usb://, serial:///dev/ttyUSB0": (
        "请写列表里的序号，或 tcp://主机、usb://、serial:///dev/ttyUSB0"
    ),
    "there is one of this name; choose another": "已有同名的；请换一个",
    "use letters, digits, dot, - and _, 32 at most": "只能用字母、数字、点、- 和 _，最多 32 个",
    "print a test page": "打印测试页",
    "did two pieces of paper come out": "出来两张纸了吗",
    "check paper, cover and address; then try again, or go on without": (
        "请检查纸、上盖和地址；然后再试，或先跳过"
    ),
    "the number at the end of the longest unbroken ruler (empty: unsure)": (
        "最长且没有折行的标尺末尾的数字（留空：不确定）"
    ),
    "32, 42 or 48": "请写 32、42 或 48",
    "GPS receiver: gpsd, or its device": "GPS 接收机：gpsd，或设备文件",
    "wait for a first fix (needs the open sky; Ctrl-C ends the waiting)": (
        "等待首次定位（需要露天；按 Ctrl-C 结束等待）"
    ),
    "gpsd, or a device as /dev/ttyACM0": "请写 gpsd，或设备文件如 /dev/ttyACM0",
    "{mode}, {n} satellites in view {trouble}": "{mode}，可见卫星 {n} 颗 {trouble}",
    "there is a fix": "已定位",
    "no fix yet; `edge-agent gps watch` shows more": "还没有定位；`edge-agent gps watch` 可看详情",
    "has it a loudspeaker": "接了喇叭吗",
    "did you hear a chime and a voice": "听到提示音和语音了吗",
    "is it on, plugged in, and not muted (alsamixer)?": "喇叭开了吗？插好了吗？是不是静音（alsamixer）？",
    "another card (`aplay -L` lists them; empty: go on as it is)": (
        "换一个声卡（`aplay -L` 可列出；留空：先这样）"
    ),
    "use Bluetooth beacons for arrivals": "用蓝牙信标判断到店",
    "are buttons and lights wired to GPIO (SOS 17, ack 27)": (
        "按键和指示灯接在 GPIO 上吗（SOS 17，确认 27）"
    ),
    "write this to {path}": "写入 {path}",
    "the old one is kept as {path}": "旧文件保留为 {path}",
    "written: {path}": "已写入：{path}",
    "what is next:": "接下来：",
    "not enrolled; try again later: edge-agent enroll CODE": (
        "注册没有成功；稍后再试：edge-agent enroll 注册码"
    ),
    "set the technician's PIN of the page": "设置页面的技术员 PIN 码",
    "PIN, 6 to 12 digits": "PIN 码，6 到 12 位数字",
    # --- status, watch and what staff do ----------------------------------------------------------
    "{role} {device} at {site}, agent {agent}": "{role} {device}，{site}，程序版本 {agent}",
    "back end: connected{since}; waiting: {waiting}": "后台：已连接{since}；等待发送：{waiting}",
    "back end: NOT connected{since}; waiting: {waiting}": "后台：没有连接{since}；等待发送：{waiting}",
    " since {t} UTC": "（{t} UTC 起）",
    ", the oldest from {t} UTC": "，最早的是 {t} UTC",
    "; given up because they waited too long: {gone}": "；等待太久已放弃：{gone}",
    "printer {name}: {state}, {n} waiting": "打印机 {name}：{state}，{n} 张等待",
    "alert {cause}: {state} {order}": "提醒 {cause}：{state} {order}",
    "rider: {duty}, consent {consent}": "骑手：{duty}，同意书 {consent}",
    "receiver: no fix yet": "接收机：还没有定位",
    "receiver: {mode}, {age} s old, {lat}, {lon}, within {acc} m": (
        "接收机：{mode}，{age} 秒前，{lat}, {lon}，误差 {acc} 米内"
    ),
    "orders, the newest first:": "订单（最新的在前）：",
    "ready to print": "就绪",
    "sounding": "正在响",
    "escalated": "已升级",
    "held": "等待决定",
    "fault": "故障",
    "printing": "正在打印",
    "queued": "等待打印",
    "printed": "已打印",
    "sent_unconfirmed": "已发送未确认",
    "in_doubt": "可能已打印",
    "rerouted": "已转打",
    "expired": "已过时",
    "parked": "搁置",
    "nothing to do": "没有要做的",
    "Did you hear a chime and a voice? [y/n]": "听到提示音和语音了吗？[y/n]",
    "The samples went somewhere else. Is the loudspeaker on and plugged in? Is the card muted"
    " (alsamixer)? Is it the right one? `aplay -L` lists them; sound.device names it, for a service"
    " best itself, as in plughw:CARD=Device.": (
        "声音没有从喇叭出来。喇叭开了吗、插好了吗？声卡静音了吗（alsamixer）？声卡选对了吗？"
        "`aplay -L` 可列出；在 sound.device 里写明，服务最好直接写声卡，如 plughw:CARD=Device。"
    ),
    "sound.volume is {volume}; 1 is the loudest": "sound.volume 现为 {volume}；1 最响",
    "say --left N, --sold-out or --available": "请写 --left 数量、--sold-out 或 --available",
    # --- identity, signed requests, updates -------------------------------------------------------
    "{device} has its certificate for {days} days more": "{device} 的证书还有 {days} 天有效",
    "this device has no certificate → sudo edge-agent enroll CODE, or name uplink.cert": (
        "本机没有证书 → sudo edge-agent enroll 注册码，或设置 uplink.cert"
    ),
    "the certificate ended {days} days ago → sudo edge-agent enroll": (
        "证书已过期 {days} 天 → sudo edge-agent enroll"
    ),
    "this device was not enrolled: edge-agent enroll": "本机尚未注册：edge-agent enroll",
    "no answer within {s} s: {error}": "{s} 秒内没有应答：{error}",
    "no key within {s} s": "{s} 秒内没有生成密钥",
    "the authority does not answer": "证书签发机构没有应答",
    "this identity was made for the machine {machine} and runs on {other}: a new board, or a copied"
    " card? A copy must not run beside it": (
        "这个身份属于机器 {machine}，现在运行在 {other} 上：换了主板，还是复制了存储卡？"
        "复制品不能与原机同时运行"
    ),
    "the certificate has ended and brokers refuse it: edge-agent enroll, without a code within"
    " {days} days, else with one": (
        "证书已过期，消息服务器会拒绝：请运行 edge-agent enroll，{days} 天内不需要注册码，之后需要"
    ),
    "the certificate ends in {days} days and was not renewed: does the authority run (edge-agent ca"
    " serve)?": "证书还有 {days} 天到期且未能续期：证书签发机构在运行吗（edge-agent ca serve）？",
    "the configuration names this device's certificate": "配置里已写明本机的证书",
    "{file} is no elliptic-curve key": "{file} 不是椭圆曲线密钥",
    "the certificate is for {device}": "这张证书属于 {device}",
    "the certificate is for another key": "这张证书对应别的密钥",
    "the certificates lead to none of the roots that came with them": "证书链与附带的根证书不符",
    "the answer holds no certificates: {error}": "应答里没有证书：{error}",
    "the answer is to another request": "这是对别的请求的应答",
    "the answer is not from who gave out the code": "应答不是来自发放注册码的一方",
    "there is no key {kid} in [[fleet.keys]]": "[[fleet.keys]] 里没有密钥 {kid}",
    "number {number} of this key was used before": "这个密钥的编号 {number} 已用过",
    "the clock is not set here: add boot_nonce from `state`": (
        "本机时钟尚未校准：请带上 `state` 里的 boot_nonce"
    ),
    "whether it was carried out before is not known here any more: sign it anew, or add boot_nonce"
    " from `state`": "已无法得知它是否执行过：请重新签名，或带上 `state` 里的 boot_nonce",
    "it was meant for an earlier start of the agent": "它是发给程序上次启动的",
    "this key may not sign what needs the scope {scope}": "这个密钥无权签发需要 {scope} 权限的请求",
    "exp must follow iat, by {days} days at most": "exp 须晚于 iat，最多 {days} 天",
    "it was signed in the future; compare the clocks": "签名时间在将来；请核对时钟",
    "it was signed for {device}": "它是为 {device} 签名的",
    "it was signed for another command or cmd_id": "它是为别的命令或 cmd_id 签名的",
    "a signed configuration has version and settings": "签名的配置须有 version 和 settings",
    "a signed request has kid, req and sig": "签名的请求须有 kid、req 和 sig",
    "this device takes signed requests only": "本机只接受签名的请求",
    "the signature has not {bytes} bytes": "签名不是 {bytes} 字节",
    "the signature is not base64url": "签名不是 base64url",
    "it was not signed by {kid}": "它不是由 {kid} 签名的",
    "what was signed: {error}": "签名的内容：{error}",
    "commands come too fast and are turned away; orders go on. Find out what in the back end sends"
    " them": "命令来得太快，已拒收；订单照常。请查明后台是什么在发送",
    "this id was given to another request before": "这个编号以前用于别的请求",
    "{count} commands wait already; send it again later": "已有 {count} 条命令在等待；请稍后再发",
    "an empty one is not signed: sign one without settings": (
        "空配置无法签名：请签一份没有 settings 的配置"
    ),
    "configuration {version} was taken back: {why}. The one before is in force; send a higher"
    " version": "配置 {version} 已撤回：{why}。现用的是上一版；请发送更高的版本号",
    "it does not fit the device's own file: {what}": "与设备自己的配置文件不符：{what}",
    "nobody has subscribed to bundle/#": "没有人订阅 bundle/#",
    "the broker refused a part (reason {code})": "消息服务器拒收其中一段（原因码 {code}）",
    "the support file is being made; wait for it": "支持文件正在生成；请稍候",
    "use: edge-agent bundle": "请用：edge-agent bundle",
    "fleet.allow_reboot is off on this device": "本机没有打开 fleet.allow_reboot",
    "there is no clip {name}": "没有声音 {name}",
    "this agent was started without a configuration file": "程序启动时没有配置文件",
    "[update] is not set; say where releases come from": "没有设置 [update]；请写明从哪里取新版本",
    "this agent is not installed in slots; update it by hand": "本程序不是分槽安装的；请手工升级",
    "{version} is no version": "{version} 不是版本号",
    "release {version} is on its way ({state})": "版本 {version} 正在安装中（{state}）",
    "this device has no [beacons] scanner": "本机没有 [beacons] 扫描",
    "too little was heard of beacons that keep their identity; walk for half a minute at least, and"
    " see `edge-agent beacon scan`": (
        "听到的固定标识信标太少；请至少走动半分钟，并看 `edge-agent beacon scan`"
    ),
    "metrics cannot be offered at {host} port {port}: {error}; change metrics.listen": (
        "无法在 {host} 端口 {port} 提供指标：{error}；请修改 metrics.listen"
    ),
    "printer {name} has had no ticket yet; print a test page": (
        "打印机 {name} 还没有打过小票；请打印测试页"
    ),
    "going over to a new connection": "正在换用新的连接",
    "systemd-logind refused {what}: {error}": "systemd-logind 拒绝 {what}：{error}",
    "the system D-Bus cannot be reached: {error}": "连不上系统 D-Bus：{error}",
    "systemd-logind does not answer": "systemd-logind 没有应答",
    "systemd-logind does not let the agent reboot (it says {reply}); a rule of polkit must allow"
    " org.freedesktop.login1.reboot to its user": (
        "systemd-logind 不允许程序重启设备（{reply}）；"
        "须用 polkit 规则允许程序的用户 org.freedesktop.login1.reboot"
    ),
}
