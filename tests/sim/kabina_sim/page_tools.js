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
  async waitForTone(frequencyHz, timeoutMs = 8000) {
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

  /** Presses a language and listens: how long until its tone is there, and what was concealed. */
  async changeLanguage(channel, frequencyHz) {
    const analyser = this.ear(1024);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const before = await this.received();
    const start = performance.now();
    document.querySelector(`input[name=channel][value="${channel}"]`).click();
    let heard = null;
    while (performance.now() - start < 5000) {
      if (this.rms(analyser) > 0.05 && Math.abs(this.loudest(analyser) - frequencyHz) < 60) {
        heard = performance.now() - start;
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const after = await this.received();
    return {
      heardMs: heard,
      concealed: after.concealedSamples - before.concealedSamples,
      discarded: after.packetsDiscarded - before.packetsDiscarded,
      samples: after.totalSamplesReceived - before.totalSamplesReceived,
    };
  },
};
