import { startPage } from "../src/view/render";
import { fakeMeeting } from "./fake_meeting";

void startPage((room) => fakeMeeting(room.name));
