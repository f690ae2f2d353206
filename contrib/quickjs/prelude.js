(function () {
  "use strict";
  var parse = JSON.parse, stringify = JSON.stringify, fromCharCode = String.fromCharCode, List = Array;

  // bytes turns text of one character a byte into what scripts know: numbers.
  function bytes(text) {
    var list = new List(text.length);
    for (var i = 0; i < list.length; i++) list[i] = text.charCodeAt(i);
    return list;
  }

  // text is bytes backwards. Old scripts count from -128.
  function text(list) {
    if (list === null || typeof list !== "object" || typeof list.length !== "number") return "!";
    var out = [];
    for (var i = 0; i < list.length; i++) {
      if (typeof list[i] !== "number") return "!";
      out.push(fromCharCode(list[i] & 0xff));
    }
    return "=" + out.join("");
  }

  function json(value) {
    if (value === null || typeof value !== "object") return "!";
    return "=" + stringify(value);
  }

  return {
    has: function (name) { return typeof globalThis[name] === "function"; },
    decode: function (raw) {
      if (typeof rawDataToProtocol !== "function") return "?";
      return json(rawDataToProtocol(bytes(raw)));
    },
    encode: function (message) {
      if (typeof protocolToRawData !== "function") return "?";
      return text(protocolToRawData(parse(message)));
    },
    transform: function (topic, raw) {
      if (typeof transformPayload !== "function") return "?";
      return json(transformPayload(topic, bytes(raw)));
    }
  };
})()
