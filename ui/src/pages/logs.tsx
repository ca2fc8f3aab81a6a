export function Logs() { return <p>Logs</p>; }
