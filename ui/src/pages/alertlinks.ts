/** Where an alert leads. */

/** A new silence for just these labels. */
export function silenceHref(labels: Record<string, string>): string {
  const params = new URLSearchParams({ tab: 'silences', new: '1' });
  for (const [name, value] of Object.entries(labels)) params.append('match', `${name}=${value}`);
  return `/alerts?${params}`;
}

/** An alert's whole way. */
export function historyHref(fingerprint: string): string {
  return `/alerts?tab=history&alert=${fingerprint}`;
}

/** The logs around what an alert is about: by those of its labels that logs carry too. */
export function logsHref(labels: Record<string, string>): string {
  return `/logs?${new URLSearchParams({ near: JSON.stringify(labels) })}`;
}
