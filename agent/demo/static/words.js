// Every word of the page in both languages. {0} {1} stand for values.

const WORDS = {
  en: {
    tagline: "Takeaway devices that survive dead links, kill -9 and empty paper rolls",
    recorded: "events recorded", received: "received", waiting: "on disk",
    lost: "lost", duplicated: "printed twice", duplicated_hint: "without the banner POSSIBLE DUPLICATE",
    do_cut: "Cut network", do_restore: "Restore", do_paper: "Paper out", do_refill: "Refill paper",
    do_order: "New order", do_rush: "Rush: 1000", do_sos: "SOS", do_sos_end: "End SOS", kill: "kill -9",
    off_by: "server's picture is off by", k_belief: "server believes", k_truth: "truth",
    k_trail: "arrived live", k_late: "arrived late", off_stats: "half within {0} m, 95 % within {1} m",
    off_cost: "{0} messages for {1} s of riding",
    printer: "kitchen printer", tickets: "tickets", printer_ok: "ready", printer_paper_out: "out of paper",
    printer_fault: "fault: {0}", wire: "The wire", wire_note: "{0} messages, newest first",
    shop: "Shop", rider: "Rider", online: "online", lost_state: "lost", offline: "offline",
    starting: "starting", dead: "dead, restarts in 2 s", cable_out: "cable out", backlog: "{0} waiting",
    restarts: "restarted {0}×", killed: "killed {0}×",
    net_ok: "connected", net_out: "offline, orders are kept",
    accept: "Accept", accept_all: "Accept all {0}", new: "new", accepted: "accepted", printed: "printed", held: "ticket waits",
    ringing: "Ringing", ring_text: "{0} not heard by anybody yet", heard: "Heard",
    sos_alert: "SOS from the rider", sos_text: "position is on the map",
    waiting_orders: "{0} more at the back end; the shop cannot be reached",
    no_orders: "No orders yet. The first one comes in a few seconds.", more_orders: "and {0} more",
    live: "live", not_live: "connection lost",
    welcome: "You are looking at two real agents, a real MQTT broker and a printer made of software.",
    welcome_1: "Left, a rider: the server extrapolates between few messages, and the faint dot is the truth.",
    welcome_2: "Right, a shop: orders ring, tickets come out of the printer.",
    welcome_3: "Break things with the buttons. The numbers on top say what got lost.",
    welcome_4: "Simulated are the GPS receiver, the beacons, the paper and the loudspeaker; the rest is the product.",
    start: "Start (turns sound on)",
    n_enter: "The rider has entered the ring around the shop.", n_leave: "The rider left the shop.",
    n_floor: "A beacon was heard: the rider is on {0}.", n_arrived: "A beacon was heard: the rider is at {0}.",
    n_cut: "The cable is out. Both agents keep recording on their own disk.",
    n_restore: "The cable is back. What waited is being sent, in order.",
    n_drained: "Drained: {0} events arrived late, {1} lost.",
    n_paper_out: "The printer is out of paper. Tickets wait, and people are told.",
    n_refill: "New paper. What waited is printed now.",
    n_kill_shop: "SIGKILL to the shop's agent, as a power cut would. It is started again in 2 s.",
    n_kill_rider: "SIGKILL to the rider's agent, as a power cut would. It is started again in 2 s.",
    n_back_shop: "The shop's agent is back; it continues where the disk says.",
    n_back_rider: "The rider's agent is back; it continues where the disk says.",
    n_sos: "SOS reached the back end after {0} ms.", n_sos_over: "The SOS has ended.", n_sos_pressed: "The rider holds the SOS button.",
    n_rush: "1000 orders at once.", n_rush_done: "All {0} tickets of the rush are printed.",
    n_refused: "That did not work: {0}",
  },
  zh: {
    tagline: "断网、断电、缺纸都不丢单的外卖边缘设备",
    recorded: "设备记录", received: "后台收到", waiting: "磁盘待发", lost: "丢失", duplicated: "重复打印", duplicated_hint: "且未标注“可能重复”",
    do_cut: "拔掉网线", do_restore: "恢复网络", do_paper: "打印缺纸", do_refill: "换上新纸",
    do_order: "来一单", do_rush: "爆单 1000", do_sos: "SOS 求助", do_sos_end: "解除 SOS", kill: "kill -9",
    off_by: "后台位置误差", k_belief: "后台推算", k_truth: "真实位置", k_trail: "实时到达", k_late: "补传轨迹",
    off_stats: "一半在 {0} 米内,95% 在 {1} 米内", off_cost: "{1} 秒骑行只发 {0} 条消息",
    printer: "后厨打印机", tickets: "张小票", printer_ok: "就绪", printer_paper_out: "缺纸",
    printer_fault: "故障:{0}", wire: "线上消息", wire_note: "共 {0} 条,最新在上",
    shop: "门店", rider: "骑手", online: "在线", lost_state: "失联", offline: "离线", starting: "启动中",
    dead: "已死,2 秒后重启", cable_out: "网线已拔", backlog: "待发 {0}", restarts: "重启 {0} 次", killed: "被杀 {0} 次",
    net_ok: "已连接", net_out: "断网,订单不丢",
    accept: "接单", accept_all: "全部接单({0})", new: "新订单", accepted: "已接单", printed: "小票已出", held: "小票等待",
    ringing: "正在响铃", ring_text: "{0} 条提醒等人确认", heard: "听到了",
    sos_alert: "骑手 SOS 求助", sos_text: "位置见地图",
    waiting_orders: "后台还有 {0} 单,暂时联系不上门店",
    no_orders: "还没有订单,几秒后来第一单。", more_orders: "还有 {0} 单",
    live: "实时", not_live: "连接断开",
    welcome: "这里跑着两个真实的边缘代理、一个真实的 MQTT 服务器和一台软件打印机。",
    welcome_1: "左边是骑手:后台靠很少的消息推算位置,淡色圆点才是真实位置。",
    welcome_2: "右边是门店:来单响铃,小票从打印机里出来。",
    welcome_3: "请随便搞破坏,上方的数字会说明有没有丢东西。",
    welcome_4: "模拟的只有 GPS 接收机、信标、纸张和音箱,其余都是产品本身。",
    start: "开始(打开声音)",
    n_enter: "骑手进入门店围栏。", n_leave: "骑手离开门店。",
    n_floor: "听到信标:骑手在 {0}。", n_arrived: "听到信标:骑手已到 {0}。",
    n_cut: "网线已拔,两台设备继续写入各自的磁盘。", n_restore: "网线接回,积压消息按顺序补传。",
    n_drained: "补传完成:{0} 条迟到,丢失 {1} 条。",
    n_paper_out: "打印机缺纸:小票排队等待,并提醒店员。", n_refill: "换上新纸,等待的小票开始打印。",
    n_kill_shop: "对门店代理执行 SIGKILL,等同断电,2 秒后重启。", n_kill_rider: "对骑手代理执行 SIGKILL,等同断电,2 秒后重启。",
    n_back_shop: "门店代理已恢复,从磁盘记录处继续。", n_back_rider: "骑手代理已恢复,从磁盘记录处继续。",
    n_sos: "SOS 在 {0} 毫秒后到达后台。", n_sos_over: "SOS 已解除。", n_sos_pressed: "骑手按住了 SOS 按钮。",
    n_rush: "1000 单同时涌入。", n_rush_done: "爆单的 {0} 张小票全部打印完成。",
    n_refused: "没有成功:{0}",
  },
};

let language = (navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en";

export function say(key, ...values) {
  const text = WORDS[language][key];
  return values.reduce((done, value, n) => done.split("{" + n + "}").join(String(value)), text === undefined ? key : text);
}

export function getLanguage() { return language; }

export function setLanguage(next) {
  language = next;
  document.documentElement.lang = next === "zh" ? "zh-CN" : "en";
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = say(node.dataset.word);
  for (const node of document.querySelectorAll("[data-hint]")) node.title = say(node.dataset.hint);
}
