/** Unique names for everything in the synthetic world. @module */
import type { RandomStream } from "../../tensor/random.ts";

const list = (words: string): string[] => words.trim().split(/\s+/);

const TOWN_STARTS = list(`
  Alder Arken Ash Bex Birk Brack Brom Cald Carn Clay Crom Dell Dorn Dray Dun Elm Esk Ever Falk Farr
  Fen Fross Garr Glen Gor Grim Hald Hart Hask Holm Ing Ister Ivar Jarn Jess Juni Karr Kell Kirr Lang
  Larch Lind Lorn Marl Mist Mor Neth Nor Nyl Oak Ollen Orr Oster Pad Pell Pike Pren Quill Raven Rind
  Rusk Sel Skar Stav Sund Tarn Thorn Tull Ulm Ulver Umber Varn Vel Vost Wend Whit Wick Yar Yew Zell`);
const TOWN_ENDS = list(`
  barrow bridge brook bury by cliff combe crest cross dale den fell field ford garth gate haven hollow
  hurst lea march mere minster moor mouth ness port ridge shaw stead stow thorpe ton vale ville watch
  well wood worth wych holt ham`);
const WOMEN = list(`
  Ada Agnes Alma Bertha Clara Cora Dora Edith Elsa Flora Freya Greta Hanna Helga Ida Ingrid Irma Johanna
  Karin Lena Lydia Marta Mathilda Nora Olga Petra Rosa Selma Thea Wilma`);
const MEN = list(`
  Albert Anton Bruno Conrad Edgar Emil Ernst Felix Georg Gustav Hugo Ivo Jakob Jonas Karl Leo Ludwig
  Magnus Martin Nils Oskar Otto Paul Ruben Simon Tobias Urban Viktor Walter Xaver`);
const SURNAME_STARTS = list(`
  Acker Ander Berg Blom Brand Dahl Ecker Ehren Feld Fisch Gold Gran Hagen Heller Hoff Jans Kessel Kling
  Kron Lager Lillie Linden Lund Mond Nyg Olden Ost Palm Quist Reuter Rosen Sand Schon Stern Strand Tann
  Vogel Wald Winter Zimmer`);
const SURNAME_ENDS = list(`
  aard bach berg blad born by dahl dorf feld gaard gren heim holz kirk lov mann mark quist rud sen stad
  stein strom thal`);
const COMPANY_ENDS = [
  "& Daughters",
  "& Sons",
  "& Sisters",
  "& Brothers",
  "& Partners",
  "& Company",
];
const TOWN_COMPANIES = ["Trading House", "Supply Company", "Merchants"];
const FESTIVALS = list(`
  Lantern Kite Barrel Bell Mask Drum Ribbon Boat Snow Pumpkin Whistle Goose Ladder Stilt Mirror Torch
  Feather Wheel Broom Bonnet Shadow Button Puppet Wagon`);
const ANIMAL_SIZES = list(`
  Lesser Greater Common Royal Dwarf Giant Eastern Western Shy Noble Nimble Whiskered`);
const ANIMAL_TRAITS = list(`
  ridge-tailed long-eared short-nosed striped spotted crested tufted hooded ring-necked bush-tailed
  flat-footed web-toed curl-horned sharp-eyed thick-furred bare-faced round-bellied broad-winged
  long-legged stub-tailed silk-haired knob-headed fan-eared hook-billed plume-tailed`);
const ANIMAL_BASES = list(`
  badger bat civet crane dormouse egret ferret fox gecko genet grouse hare heron ibex jackdaw kite
  lemming lizard lynx marmot marten newt otter owl plover polecat quail raven shrew skink squirrel stoat
  tanager toad vole weasel`);
const INSTRUMENT_PARTS = [
  list(
    "bel ber cas cor dro dul fen gal har kor lir mar mon nol pan quin rav sar tal tam ul vi zan jo",
  ),
  list("a e i o do va li ra mi so ne bu ti ga lo ve"),
  list("lin phon tar ra bo nette rine sette la dra ket zon"),
];
const PLANET_PARTS = [
  list("Kel Tes Vor Zan Ard Bel Cyr Dro Eri Fal Gly Hes Ix Jor Lum Myr Nem Oph Pyr Qua"),
  list("vor sara thea dris mora nox phis lora vane tar quin bris dane lios"),
];
const PLANET_NUMBERS = ["II", "III", "IV", "V", "VI", "VII", "VIII", "IX"];
const SHIP_TRAITS = list(`
  Patient Wandering Brave Gentle Restless Faithful Lucky Proud Silent Merry Stubborn Swift Humble Bold
  Weary Hopeful Lonely Jolly Steady Daring Honest Curious Clever Laughing Dancing Sleeping Singing Roaming
  Drifting Leaping Fearless Tireless Wilful Homesick Hungry Distant Northern Southern Forgotten Second
  Last Happy Constant Thrifty`);
const SHIP_NOUNS = list(`
  Pilgrim Gull Dolphin Duchess Mermaid Baron Widow Piper Miller Hunter Shepherd Maiden Beggar Abbot
  Captain Giant Juggler Knight Lady Minstrel Nightingale Orphan Parson Queen Ranger Scholar Tailor Uncle
  Vagabond Walrus Cousin Bishop Cobbler Drummer Emperor Fiddler Gardener Hatter Innkeeper Jester Kingfisher
  Lodger Messenger Neighbour Oracle Peddler Rector Squire Traveller Usher Viscount Weaver`);

/** A person's name with the pronouns that go with it. */
export interface PersonName {
  /** First and last name. */
  readonly name: string;
  /** `"she"` or `"he"`. */
  readonly pronoun: "she" | "he";
}

const isWoman: ReadonlySet<string> = new Set(WOMEN);

/** The pronoun of a person of that name. */
export function pronounOf(name: string): PersonName["pronoun"] {
  return isWoman.has(name.split(" ")[0]) ? "she" : "he";
}

/** Draws names that were not drawn before. Some families and star systems are shared on purpose. */
export class NameSource {
  readonly #random: RandomStream;
  readonly #taken = new Set<string>();
  readonly #parent: NameSource | undefined;
  readonly #surnames: string[];
  readonly #stars: string[];

  /**
   * @param random Where the choices come from
   * @param documents Size of the world: a larger one has more families
   * @param parent A source whose families are shared and whose names are taken
   */
  constructor(random: RandomStream, documents: number, parent?: NameSource) {
    this.#random = random;
    this.#parent = parent;
    if (parent) {
      this.#surnames = parent.#surnames;
      this.#stars = parent.#stars;
      return;
    }
    const surnames = SURNAME_STARTS.flatMap((a) => SURNAME_ENDS.map((b) => a + b));
    this.#surnames = random.shuffle(surnames).slice(0, Math.max(20, Math.ceil(documents / 4)));
    const stars = PLANET_PARTS[0].flatMap((a) => PLANET_PARTS[1].map((b) => a + b));
    this.#stars = random.shuffle(stars).slice(0, Math.max(10, Math.ceil(documents / 20)));
  }

  /** One of the items. */
  pick<T>(items: readonly T[]): T {
    return items[this.#random.int(items.length)];
  }

  /** `Ostermoor`. */
  town(): string {
    return this.#unique(() => this.pick(TOWN_STARTS) + this.pick(TOWN_ENDS));
  }

  /** `Marta Oldenkirk`. */
  person(): PersonName {
    let pronoun: "she" | "he" = "she";
    const name = this.#unique(() => {
      pronoun = this.#random.int(2) === 0 ? "she" : "he";
      return `${this.pick(pronoun === "she" ? WOMEN : MEN)} ${this.pick(this.#surnames)}`;
    });
    return { name, pronoun };
  }

  /** `Oldenkirk & Daughters` or `Ostermoor Trading House`. */
  company(town: string): string {
    return this.#unique(() =>
      this.#random.int(3) === 0
        ? `${town} ${this.pick(TOWN_COMPANIES)}`
        : `${this.pick(this.#surnames)} ${this.pick(COMPANY_ENDS)}`
    );
  }

  /** `Patient Pilgrim Company`: of words that are in no name of a person or a town. */
  guild(): string {
    return this.#unique(() => `${this.pick(SHIP_TRAITS)} ${this.pick(SHIP_NOUNS)} Company`);
  }

  /** `Ostermoor Kite Festival` or `Kite Fair of Ostermoor`. */
  festival(town: string): string {
    return this.#unique(() => {
      const thing = this.pick(FESTIVALS);
      return this.#random.int(2) === 0 ? `${town} ${thing} Festival` : `${thing} Fair of ${town}`;
    });
  }

  /** `Lesser ridge-tailed fox`. */
  animal(): string {
    return this.#unique(() =>
      `${this.pick(ANIMAL_SIZES)} ${this.pick(ANIMAL_TRAITS)} ${this.pick(ANIMAL_BASES)}`
    );
  }

  /** `Talvalin`. */
  instrument(): string {
    return this.#unique(() => {
      const name = INSTRUMENT_PARTS.map((parts) => this.pick(parts)).join("");
      return name[0].toUpperCase() + name.slice(1);
    });
  }

  /** `Kelvor IV`. */
  planet(): string {
    return this.#unique(() => `${this.pick(this.#stars)} ${this.pick(PLANET_NUMBERS)}`);
  }

  /** `Patient Heron`. */
  ship(): string {
    return this.#unique(() => `${this.pick(SHIP_TRAITS)} ${this.pick(SHIP_NOUNS)}`);
  }

  #isTaken(key: string): boolean {
    return this.#taken.has(key) || (this.#parent !== undefined && this.#parent.#isTaken(key));
  }

  /** Draw until a new one comes. The tables hold more names than the largest world needs. */
  #unique(draw: () => string): string {
    while (true) {
      const name = draw();
      const key = name.toLowerCase();
      if (!this.#isTaken(key)) {
        this.#taken.add(key);
        return name;
      }
    }
  }
}
