import { startPage } from "../src/view/render";
import { fakeMeeting } from "./fake_meeting";

startPage((room) => fakeMeeting(room.name));
