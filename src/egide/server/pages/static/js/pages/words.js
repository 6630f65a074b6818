// @ts-check

/** The words of one page in its language. The page holds them, so that no script does. */
export class Words {
  /**
   * @param {string} lang a language tag, such as `fr`
   * @param {Record<string, string>} strings by dotted key, with placeholders such as `{count}`
   */
  constructor(lang, strings) {
    this._strings = strings;
    this._number = new Intl.NumberFormat(lang);
    this._percent = new Intl.NumberFormat(lang, { style: "percent", maximumFractionDigits: 0 });
    this._plurals = new Intl.PluralRules(lang);
    this._sizes = ["kilobyte", "megabyte", "gigabyte"].map((unit, step) => {
      const maximumFractionDigits = step ? 1 : 0;
      return new Intl.NumberFormat(lang, { style: "unit", unit, maximumFractionDigits });
    });
  }

  /**
   * Read the words of a page.
   *
   * @param {Document} page with a `<script type="application/json" id="words">`
   */
  static of(page) {
    const block = page.getElementById("words");
    return new Words(page.documentElement.lang, JSON.parse(block?.textContent || "{}"));
  }

  /**
   * @param {string} key
   * @param {Record<string, string | number>} [fields] values for the placeholders
   */
  text(key, fields = {}) {
    const string = this._strings[key];
    if (string === undefined) throw new RangeError(`no words for ${key}`);
    return string.replace(/\{(\w+)\}/g, (_, name) => {
      const value = fields[name];
      return typeof value === "number" ? this._number.format(value) : value;
    });
  }

  /** @param {string} key */
  has(key) {
    return key in this._strings;
  }

  /**
   * @param {string} key with the forms `one` and `other`
   * @param {number} count fills `{count}`
   */
  plural(key, count) {
    const form = this._plurals.select(count) === "one" ? "one" : "other";
    return this.text(`${key}.${form}`, { count });
  }

  /** @param {number} share 0–1 */
  percent(share) {
    return this._percent.format(share);
  }

  /** @param {number} bytes shown in units of a thousand, as on telephones */
  size(bytes) {
    const kilobytes = Math.max(1, bytes / 1000);
    const step = kilobytes < 999.5 ? 0 : kilobytes < 999_950 ? 1 : 2;
    return this._sizes[step].format(kilobytes / 1000 ** step);
  }
}
