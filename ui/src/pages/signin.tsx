import { useState } from 'preact/hooks';
import { ApiError, signIn } from '../api.ts';
import { Failure } from '../widgets/notices.tsx';

export function SignIn() {
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError('');
    try {
      await signIn(name, password);
    } catch (problem) {
      setError(problem instanceof ApiError && problem.status === 401 ? 'This user name and password do not go together.' : (problem as Error).message);
      setBusy(false);
    }
  };
  return (
    <main class="signin">
      <form class="card" onSubmit={event => void submit(event)}>
        <div class="brand"><Mark /><h1>watchkeeper</h1></div>
        <label>User<input name="user" autocomplete="username" autocapitalize="none" required value={name} onInput={event => setName(event.currentTarget.value)} /></label>
        <label>Password<input name="password" type="password" autocomplete="current-password" required value={password} onInput={event => setPassword(event.currentTarget.value)} /></label>
        {error && <Failure text={error} />}
        <button type="submit" class="button primary" disabled={busy}>{busy ? 'Signing in…' : 'Sign in'}</button>
        <p class="muted">The first start printed the password of “admin” once.</p>
      </form>
    </main>
  );
}

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="var(--accent)" />
      <path d="M5 17h5l3-8 5 15 4-10 2 3h3" fill="none" stroke="var(--on-accent)" stroke-width="2.6" stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}
