/** The page that `mfcli serve` shows: a search box, and one view at a time. */

import { watch } from "./banner.js";
import { homeView } from "./home.js";
import { itemView } from "./item.js";
import { mapView } from "./map.js";
import { rateView } from "./rate.js";
import { route } from "./router.js";
import { searchBox } from "./search.js";
import { userView } from "./user.js";

const main = document.getElementById("main");
const views = { home: homeView, items: itemView, users: userView, rate: rateView, map: mapView };

document.getElementById("search").append(searchBox());
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the view
  main.focus();
});
watch(document.getElementById("banner"), route(main, views));
