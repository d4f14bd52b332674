/** Which microphone, speaker or camera: the menu of the toolbar's arrows, and the lists before joining. */

import { createUniqueId, For, type JSX, Show } from "solid-js";
import type { Device, DeviceChoice, Devices } from "../meeting/state";
import type { IconName } from "./icons";
import { t } from "./language";
import { memory } from "./memory";
import { Menu } from "./Menu";
import { Icon } from "./parts";

export type DeviceKind = "microphone" | "speaker" | "camera";

const ICON: Record<DeviceKind, IconName> = { microphone: "mic", speaker: "volume-2", camera: "video" };

const word = (kind: DeviceKind): string => t().prejoin[kind];

const listOf = (devices: Devices, kind: DeviceKind): readonly Device[] =>
  ({ microphone: devices.microphones, speaker: devices.speakers, camera: devices.cameras })[kind];

const labelOf = (device: Device, kind: DeviceKind, index: number): string =>
  device.label === "" ? t().prejoin.device(word(kind), index + 1) : device.label;

/** The device in use: the chosen one if it is there, else the browser's first. */
const chosenOf = (devices: Devices, kind: DeviceKind): string => {
  const list = listOf(devices, kind);
  return (list.find((device) => device.id === devices.chosen[kind]) ?? list[0])?.id ?? "";
};

function remembered(devices: Devices, kind: DeviceKind, id: string): DeviceChoice {
  const choice = { ...devices.chosen, [kind]: id };
  memory.setDevices(choice);
  return choice;
}

export function DeviceMenu(props: {
  kinds: readonly DeviceKind[];
  devices: Devices;
  onChoose: (choice: DeviceChoice) => void;
  onClose: () => void;
}): JSX.Element {
  return (
    <Menu onClose={props.onClose}>
      <For each={props.kinds.filter((kind) => kind !== "speaker" || listOf(props.devices, kind).length > 0)}>
        {(kind) => (
          <div role="group" aria-label={word(kind)}>
            <p class="menu-label" aria-hidden="true">
              {word(kind)}
            </p>
            <For
              each={listOf(props.devices, kind)}
              fallback={
                <button type="button" class="menu-item" role="menuitem" aria-disabled="true">
                  {t().prejoin.none}
                </button>
              }
            >
              {(device, index) => (
                <button
                  type="button"
                  class="menu-item"
                  role="menuitemradio"
                  tabindex="-1"
                  aria-checked={chosenOf(props.devices, kind) === device.id}
                  onClick={() => {
                    props.onChoose(remembered(props.devices, kind, device.id));
                    props.onClose();
                  }}
                >
                  <Icon name="check" />
                  {labelOf(device, kind, index())}
                </button>
              )}
            </For>
          </div>
        )}
      </For>
    </Menu>
  );
}

/** The same as native lists, for the page before joining. */
export function DeviceLists(props: { devices: Devices; onChoose: (choice: DeviceChoice) => void }): JSX.Element {
  const id = createUniqueId();
  // Browsers that name no speakers choose them themselves.
  const kinds = (): readonly DeviceKind[] =>
    props.devices.speakers.length > 0 ? ["microphone", "speaker", "camera"] : ["microphone", "camera"];
  return (
    <div class="devices">
      <For each={kinds()}>
        {(kind) => (
          <div class="field">
            <label class="label" for={`${id}-${kind}`}>
              {word(kind)}
            </label>
            <div class="select">
              <Icon name={ICON[kind]} />
              <select
                id={`${id}-${kind}`}
                data-device={kind}
                disabled={listOf(props.devices, kind).length === 0}
                onChange={(event) => props.onChoose(remembered(props.devices, kind, event.currentTarget.value))}
              >
                <Show when={listOf(props.devices, kind).length === 0}>
                  <option>{t().prejoin.none}</option>
                </Show>
                <For each={listOf(props.devices, kind)}>
                  {(device, index) => (
                    <option value={device.id} selected={chosenOf(props.devices, kind) === device.id}>
                      {labelOf(device, kind, index())}
                    </option>
                  )}
                </For>
              </select>
              <Icon name="chevron-down" />
            </div>
          </div>
        )}
      </For>
    </div>
  );
}
