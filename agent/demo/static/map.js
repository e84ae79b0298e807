// A town that does not exist, drawn from a few lines; no tiles, no network.

import { getLanguage, say } from "./words.js";

const EARTH = 6371008.8;
const TRAIL = 3000; // points kept
const RADIAN = Math.PI / 180;

export class Town {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.town = null;
    this.trail = [];
    this.seen = null; // newest rider frame
    this.shown = null; // belief and truth as drawn, eased between frames
    this.base = document.createElement("canvas");
    new ResizeObserver(() => this.resize()).observe(canvas);
    const step = () => { this.paint(); requestAnimationFrame(step); };
    requestAnimationFrame(step);
  }

  lay(town) {
    this.town = town;
    this.trail = [];
    this.shown = null;
    this.resize();
  }

  rider(frame) { this.seen = frame; }

  extend(points) {
    this.trail.push(...points);
    this.trail.sort((a, b) => a.t - b.t);
    this.trail.splice(0, Math.max(0, this.trail.length - TRAIL));
  }

  redraw() { this.resize(); }

  metres(lat, lon) {
    const [lat0, lon0] = this.town.origin;
    return [(lon - lon0) * RADIAN * EARTH * Math.cos(lat0 * RADIAN), (lat - lat0) * RADIAN * EARTH];
  }

  pixel(x, y) { return [this.cx + (x - this.mx) * this.scale, this.cy - (y - this.my) * this.scale]; }

  at(lat, lon) { return this.pixel(...this.metres(lat, lon)); }

  resize() {
    const box = this.canvas.getBoundingClientRect();
    this.sharp = Math.min(window.devicePixelRatio || 1, 2);
    this.w = box.width;
    this.h = box.height;
    this.canvas.width = this.base.width = Math.max(1, Math.round(box.width * this.sharp));
    this.canvas.height = this.base.height = Math.max(1, Math.round(box.height * this.sharp));
    if (!this.town) return;
    const [x0, y0, x1, y1] = this.town.view;
    this.scale = Math.min(this.w / (x1 - x0), this.h / (y1 - y0));
    this.mx = (x0 + x1) / 2;
    this.my = (y0 + y1) / 2;
    this.cx = this.w / 2;
    this.cy = this.h / 2;
    this.drawBase();
  }

  drawBase() {
    const pen = this.base.getContext("2d");
    pen.setTransform(this.sharp, 0, 0, this.sharp, 0, 0);
    pen.fillStyle = "#eef0ec";
    pen.fillRect(0, 0, this.w, this.h);
    const colours = { water: "#c5dff0", park: "#d3e8cb", house: "#dfe0d9", square: "#f3ead6" };
    for (const area of this.town.areas) {
      this.path(pen, area.points, true);
      pen.fillStyle = colours[area.kind];
      pen.fill();
    }
    pen.lineCap = pen.lineJoin = "round";
    for (const [colour, extra] of [["#d9dcd6", 2.4], ["#ffffff", 0]]) {
      for (const street of this.town.streets) {
        this.path(pen, street.points, false);
        pen.strokeStyle = colour;
        pen.lineWidth = Math.max(2, street.width * this.scale) + extra;
        pen.stroke();
      }
    }
    pen.fillStyle = "#94a0a8";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    for (const label of this.town.labels) {
      if (label.kind === "street" && this.scale < 0.8) continue; // no room
      const [x, y] = this.pixel(label.at[0], label.at[1]);
      pen.save();
      pen.translate(x, y);
      pen.rotate((label.turn || 0) * RADIAN);
      pen.font = (label.kind === "area" ? "600 12px" : "11px") + " system-ui, 'Noto Sans CJK SC', 'WenQuanYi Micro Hei', sans-serif";
      pen.fillStyle = label.kind === "water" ? "#6c9dbd" : label.kind === "area" ? "#7fa073" : "#8f9aa2";
      pen.fillText(label[getLanguage()], 0, 0);
      pen.restore();
    }
  }

  path(pen, points, closed) {
    pen.beginPath();
    points.forEach((point, n) => {
      const [x, y] = this.pixel(point[0], point[1]);
      if (n) pen.lineTo(x, y);
      else pen.moveTo(x, y);
    });
    if (closed) pen.closePath();
  }

  paint() {
    const pen = this.pen;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.drawImage(this.base, 0, 0);
    if (!this.town) return;
    pen.setTransform(this.sharp, 0, 0, this.sharp, 0, 0);
    this.paintFences(pen);
    this.paintTrail(pen);
    this.paintShop(pen);
    this.paintBeacons(pen);
    this.paintRider(pen);
  }

  paintFences(pen) {
    for (const fence of this.town.fences) {
      const [x, y] = this.at(fence.lat, fence.lon);
      const inside = this.seen && this.seen.inside.includes(fence.id);
      pen.beginPath();
      pen.arc(x, y, fence.radius_m * this.scale, 0, 2 * Math.PI);
      pen.fillStyle = inside ? "rgba(15,157,138,.16)" : "rgba(15,157,138,.07)";
      pen.fill();
      pen.setLineDash([6, 6]);
      pen.lineWidth = inside ? 2.5 : 1.6;
      pen.strokeStyle = "#0f9d8a";
      pen.stroke();
      pen.setLineDash([]);
      pen.fillStyle = "#0a7869";
      pen.font = "600 11px system-ui, sans-serif";
      pen.textAlign = "left";
      const edge = fence.radius_m * this.scale * Math.SQRT1_2 + 5;
      pen.fillText(fence.radius_m + " m", x + edge, y - edge);
    }
  }

  paintTrail(pen) {
    pen.lineCap = pen.lineJoin = "round";
    pen.lineWidth = 4;
    let before = null;
    for (const point of this.trail) {
      const here = this.at(point.lat, point.lon);
      if (before) {
        pen.beginPath();
        pen.moveTo(before[0], before[1]);
        pen.lineTo(here[0], here[1]);
        pen.strokeStyle = point.late ? "#f2690d" : "rgba(47,111,237,.55)";
        pen.stroke();
      }
      before = here;
    }
    for (const point of this.trail) {
      const [x, y] = this.at(point.lat, point.lon);
      pen.beginPath();
      pen.arc(x, y, 3.2, 0, 2 * Math.PI);
      pen.fillStyle = point.late ? "#f2690d" : "#2f6fed";
      pen.fill();
    }
  }

  paintBeacons(pen) {
    const beat = (performance.now() / 1600) % 1;
    for (const beacon of this.town.beacons) {
      const [x, y] = this.at(beacon.lat, beacon.lon);
      const heard = this.seen && this.seen.places.includes(beacon.place);
      if (heard) {
        pen.beginPath();
        pen.arc(x, y, 6 + beat * 20, 0, 2 * Math.PI);
        pen.strokeStyle = "rgba(124,77,219," + (0.5 * (1 - beat)) + ")";
        pen.lineWidth = 2;
        pen.stroke();
      }
      pen.beginPath();
      pen.arc(x, y, 5, 0, 2 * Math.PI);
      pen.fillStyle = heard ? "#7c4ddb" : "#b9a6e4";
      pen.fill();
      pen.strokeStyle = "#fff";
      pen.lineWidth = 1.5;
      pen.stroke();
      pen.fillStyle = heard ? "#5b34ab" : "#8f7fb8";
      pen.font = "600 10px system-ui, sans-serif";
      pen.textAlign = "right";
      if (beacon.floor) pen.fillText(beacon.floor, x - 9, y + 1);
    }
  }

  paintShop(pen) {
    const [x, y] = this.pixel(this.town.shop.at[0], this.town.shop.at[1]);
    pen.fillStyle = "#0f9d8a";
    pen.beginPath();
    pen.moveTo(x - 13, y - 13); pen.lineTo(x + 13, y - 13); pen.lineTo(x + 13, y + 13); pen.lineTo(x - 13, y + 13);
    pen.closePath();
    pen.lineJoin = "round";
    pen.lineWidth = 6;
    pen.strokeStyle = "#0f9d8a";
    pen.stroke();
    pen.fill();
    pen.fillStyle = "#fff";
    pen.font = "700 15px system-ui, 'Noto Sans CJK SC', 'WenQuanYi Micro Hei', sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(getLanguage() === "zh" ? "店" : "S", x, y + 1);
  }

  paintRider(pen) {
    const frame = this.seen;
    if (!frame) return;
    const want = { truth: frame.truth, belief: frame.belief };
    if (!this.shown) this.shown = { truth: want.truth, belief: want.belief };
    for (const who of ["truth", "belief"]) {
      if (!want[who]) this.shown[who] = null;
      else if (!this.shown[who]) this.shown[who] = want[who];
      else this.shown[who] = this.shown[who].map((old, n) => old + (want[who][n] - old) * 0.16);
    }
    const truth = this.shown.truth && this.at(this.shown.truth[0], this.shown.truth[1]);
    const belief = this.shown.belief && this.at(this.shown.belief[0], this.shown.belief[1]);
    if (truth && belief) {
      pen.beginPath();
      pen.moveTo(truth[0], truth[1]);
      pen.lineTo(belief[0], belief[1]);
      pen.strokeStyle = "rgba(22,32,44,.25)";
      pen.lineWidth = 1.5;
      pen.setLineDash([3, 3]);
      pen.stroke();
      pen.setLineDash([]);
    }
    if (truth) {
      pen.beginPath();
      pen.arc(truth[0], truth[1], 8, 0, 2 * Math.PI);
      pen.fillStyle = "rgba(22,32,44,.3)";
      pen.fill();
    }
    if (belief) this.paintBelief(pen, belief, frame);
    if (frame.sos && truth) this.paintSos(pen, belief || truth);
  }

  paintBelief(pen, [x, y], frame) {
    const colour = frame.fresh ? "47,111,237" : "130,140,150";
    if (frame.acc) {
      pen.beginPath();
      pen.arc(x, y, Math.max(11, frame.acc * this.scale), 0, 2 * Math.PI);
      pen.fillStyle = "rgba(" + colour + ",.14)";
      pen.fill();
      pen.lineWidth = 1;
      pen.strokeStyle = "rgba(" + colour + ",.4)";
      pen.stroke();
    }
    if (frame.course !== null && frame.speed > 0.5) {
      pen.save();
      pen.translate(x, y);
      pen.rotate(frame.course * RADIAN);
      pen.beginPath();
      pen.moveTo(0, -19); pen.lineTo(6, -9); pen.lineTo(-6, -9);
      pen.closePath();
      pen.fillStyle = "rgb(" + colour + ")";
      pen.fill();
      pen.restore();
    }
    pen.beginPath();
    pen.arc(x, y, 8, 0, 2 * Math.PI);
    pen.fillStyle = "rgb(" + colour + ")";
    pen.fill();
    pen.lineWidth = 3;
    pen.strokeStyle = "#fff";
    pen.stroke();
    if (!frame.fresh) {
      pen.fillStyle = "#5c6b7a";
      pen.font = "600 12px system-ui, 'Noto Sans CJK SC', 'WenQuanYi Micro Hei', sans-serif";
      pen.textAlign = "center";
      pen.fillText(say("lost_state"), x, y + 22);
    }
  }

  paintSos(pen, [x, y]) {
    const beat = (performance.now() / 900) % 1;
    pen.beginPath();
    pen.arc(x, y, 10 + beat * 46, 0, 2 * Math.PI);
    pen.strokeStyle = "rgba(220,61,67," + (1 - beat) + ")";
    pen.lineWidth = 4;
    pen.stroke();
  }
}
