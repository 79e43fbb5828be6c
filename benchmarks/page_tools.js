// Put into every page before its own code: a microphone that hears a tone, and ears.
window.kabinaTest = {
  microphoneHears(frequencyHz) {
    navigator.mediaDevices.getUserMedia = async () => {
      const context = new AudioContext({ sampleRate: 48000 });
      const tone = new OscillatorNode(context, { frequency: frequencyHz });
      const gain = new GainNode(context, { gain: 0.25 });
      const destination = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
      tone.connect(gain).connect(destination);
      tone.start();
      return destination.stream;
    };
  },

  /** Moves the candidate of every answer, so that media goes through a relay there. */
  goThrough(host, port) {
    const original = RTCPeerConnection.prototype.setRemoteDescription;
    RTCPeerConnection.prototype.setRemoteDescription = function (description) {
      const moved = description.sdp.replace(/(a=candidate:\S+ \d+ udp \d+) \S+ \d+( typ host)/gi, `$1 ${host} ${port}$2`);
      return original.call(this, { type: description.type, sdp: moved });
    };
  },

  /** Takes candidates out of every answer, as a network does that lets only some through. */
  dropCandidates(pattern) {
    const set = RTCPeerConnection.prototype.setRemoteDescription;
    RTCPeerConnection.prototype.setRemoteDescription = function (description) {
      const lines = description.sdp.split("\r\n").filter((one) => !one.startsWith("a=candidate:") || !one.match(pattern));
      return set.call(this, { type: description.type, sdp: lines.join("\r\n") });
    };
  },

  /** "udp" or "tcp" and the server's address: what media goes over. */
  async path() {
    const report = await (window.kabina ?? window.plain).pc.getStats();
    const transport = [...report.values()].find((one) => one.type === "transport");
    const pair = report.get(transport.selectedCandidatePairId);
    const remote = report.get(pair.remoteCandidateId);
    return `${remote.protocol} ${remote.address}`;
  },

  /** An analyser on what the page receives. */
  ear(fftSize) {
    const receiver = window.kabina.pc.getReceivers().find((one) => one.track.kind === "audio");
    const context = new AudioContext({ sampleRate: 48000 });
    const source = context.createMediaStreamSource(new MediaStream([receiver.track]));
    const analyser = new AnalyserNode(context, { fftSize, smoothingTimeConstant: 0 });
    source.connect(analyser);
    return analyser;
  },

  rms(analyser) {
    const samples = new Float32Array(analyser.fftSize);
    analyser.getFloatTimeDomainData(samples);
    return Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
  },

  /** dB of the bin next to a frequency. */
  levelAt(analyser, frequencyHz) {
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const bin = Math.round((frequencyHz * analyser.fftSize) / 48000);
    return Math.max(bins[bin - 1], bins[bin], bins[bin + 1]);
  },

  loudest(analyser) {
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    let best = 1;
    for (let bin = 2; bin < bins.length - 1; bin += 1) if (bins[bin] > bins[best]) best = bin;
    const [a, b, c] = [bins[best - 1], bins[best], bins[best + 1]];
    return ((best + (0.5 * (a - c)) / (a - 2 * b + c)) * 48000) / analyser.fftSize;
  },

  /** Waits until the loudest tone is `frequencyHz`; the milliseconds it took. */
  async waitForTone(frequencyHz, timeoutMs = 30000) {
    const analyser = this.ear(8192);
    const start = performance.now();
    while (performance.now() - start < timeoutMs) {
      if (this.rms(analyser) > 0.02 && Math.abs(this.loudest(analyser) - frequencyHz) < 12) {
        return performance.now() - start;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`no tone of ${frequencyHz} Hz, but ${this.loudest(analyser)} Hz at ${this.rms(analyser)}`);
  },

  async received() {
    const report = await window.kabina.pc.getStats();
    for (const entry of report.values()) if (entry.type === "inbound-rtp") return entry;
    return null;
  },

  /** Joins over the socket without the pages' own code; a speaker sends a moving picture in three layers, or in one of `temporal` ones. */
  async joinPlainly(token, speaks, temporal = 0) {
    const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    window.plain = { pc, media: [], meeting: null, tracks: [] };
    pc.ontrack = (event) => window.plain.tracks.push(event.track);
    pc.addTransceiver("audio", { direction: "recvonly" });
    pc.addTransceiver("video", { direction: "recvonly" });
    pc.addTransceiver("video", { direction: "recvonly" });
    if (speaks) {
      // A voice that never arrives loses the floor, and the floor its camera, after 5 s.
      const context = new AudioContext({ sampleRate: 48000 });
      const tone = new OscillatorNode(context, { frequency: 400 });
      const voice = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
      tone.connect(new GainNode(context, { gain: 0.25 })).connect(voice);
      tone.start();
      pc.addTransceiver(voice.stream.getAudioTracks()[0], { direction: "sendonly" });
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [1280, 720];
      const paint = canvas.getContext("2d");
      let turn = 0;
      window.plain.paints = true;
      setInterval(() => {
        if (!window.plain.paints) return;
        for (let n = 0; n < 60; n += 1) {
          paint.fillStyle = `hsl(${(turn * 7 + n * 40) % 360} 80% 50%)`;
          paint.fillRect((n * 173 + turn * 9) % 1280, (n * 97 + turn * 5) % 720, 160, 90);
        }
        turn += 1;
      }, 40);
      const [track] = canvas.captureStream(25).getVideoTracks();
      const sendEncodings = [
        { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
        { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500_000 },
        { rid: "f", maxBitrate: 1_500_000 },
      ];
      const one = { scaleResolutionDownBy: 2, maxBitrate: 500_000, scalabilityMode: `L1T${temporal}` };
      if (temporal > 0) sendEncodings.splice(0, 3, one);
      pc.addTransceiver(track, { direction: "sendonly", sendEncodings });
    }
    const socket = new WebSocket(`ws://${location.host}/ws`);
    const waiting = new Map();
    let last = 0;
    window.plain.ask = (type, fields) =>
      new Promise((resolve, reject) => {
        last += 1;
        waiting.set(last, [resolve, reject]);
        socket.send(JSON.stringify({ type, id: last, ...fields }));
      });
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.type === "media") window.plain.media.push(message.state);
      if (message.meeting) window.plain.meeting = message.meeting;
      const promise = waiting.get(message.re);
      if (promise) promise[message.type === "error" ? 1 : 0](message);
    };
    await new Promise((resolve) => (socket.onopen = resolve));
    await window.plain.ask("hello", { version: 1, token });
    await this.offerPlainly("floor");
    if (speaks) {
      await window.plain.ask("take_floor", { language: "en" });
      await window.plain.ask("show", { what: "camera", on: true });
    }
  },

  async offerPlainly(listen) {
    const { pc, ask } = window.plain;
    await pc.setLocalDescription();
    const answer = await ask("offer", { sdp: pc.localDescription.sdp, listen });
    await pc.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  },

  async pictures(pc = window.plain.pc) {
    const report = await pc.getStats();
    const found = [...report.values()].filter((one) => one.type === "inbound-rtp" && one.kind === "video");
    return found.map((one) => ({
      frames: one.framesDecoded ?? 0, received: one.framesReceived ?? 0, dropped: one.framesDropped ?? 0, height: one.frameHeight ?? 0, keys: one.keyFramesDecoded ?? 0,
      freezes: one.freezeCount ?? 0, lost: one.packetsLost, mid: one.mid, nacks: one.nackCount,
      rtx: one.retransmittedPacketsReceived ?? 0, decoder: one.decoderImplementation, plis: one.pliCount,
    }));
  },

  /** Opens the microphone of `joinPlainly`: who is silent for 5 s loses the floor, and a still canvas sends nothing. */
  async speakPlainly() {
    const [track] = (await navigator.mediaDevices.getUserMedia({ audio: true })).getAudioTracks();
    const { sender } = window.plain.pc.getTransceivers().find((one) => one.direction === "sendonly");
    await sender.replaceTrack(track);
  },

  /** Frames that `joinPlainly` has sent so far in one layer. */
  async framesSent() {
    const report = await window.plain.pc.getStats();
    return [...report.values()].find((one) => one.type === "outbound-rtp" && one.kind === "video")?.framesSent ?? 0;
  },

  /** Notes when each frame of the first picture is shown and how many lines it has, in `plain.shown`. */
  async watchFrames() {
    const element = Object.assign(document.createElement("video"), { muted: true });
    element.srcObject = new MediaStream([window.plain.tracks.find((one) => one.kind === "video")]);
    document.body.append(element);
    window.plain.shown = [];
    const look = (at, frame) => {
      window.plain.shown.push([at, frame.height]);
      element.requestVideoFrameCallback(look);
    };
    element.requestVideoFrameCallback(look);
    await element.play();
  },

  /** Packets of sound received so far. */
  async soundReceived(pc) {
    const report = await pc.getStats();
    const found = [...report.values()].find((one) => one.type === "inbound-rtp" && one.kind === "audio");
    return found?.packetsReceived ?? 0;
  },

  async waitForPicture(least, most, timeoutMs = 60000) {
    const start = performance.now();
    let before = null;
    while (performance.now() - start < timeoutMs) {
      const [now] = await this.pictures();
      if (now && before && now.frames > before.frames && now.height >= least && now.height <= most) {
        return { ...now, tookMs: performance.now() - start };
      }
      before = now;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`no picture of ${least} to ${most} lines: ${JSON.stringify(await this.pictures())}`);
  },

  /** Presses a language and listens: how long until its tone is there, and what was concealed. */
  async changeLanguage(channel, frequencyHz) {
    const analyser = this.ear(1024);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const before = await this.received();
    const start = performance.now();
    document.querySelector(`input[name=channel][value="${channel}"]`).click();
    let heard = null;
    while (performance.now() - start < 20000) {
      if (this.rms(analyser) > 0.05 && Math.abs(this.loudest(analyser) - frequencyHz) < 60) {
        heard = performance.now() - start;
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const after = await this.received();
    return {
      heardMs: heard ?? Infinity,
      concealed: after.concealedSamples - before.concealedSamples,
      discarded: after.packetsDiscarded - before.packetsDiscarded,
      samples: after.totalSamplesReceived - before.totalSamplesReceived,
    };
  },
};
